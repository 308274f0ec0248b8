//! What an agent says of its container's use: bounded and made printable, because a container may lie.

use crate::agent::usage::report::{Gpus, StoreState, Usage};
use crate::text::printable;

const MOST_GPUS: usize = 64;
const MOST_PROCESSES: usize = 64;
const MOST_STORES: usize = 16;
/// Characters of a name.
const LONGEST: usize = 120;

pub(super) fn tidied(mut usage: Usage) -> Usage {
    match &mut usage.gpus {
        Gpus::Listed { gpus, processes } => {
            gpus.truncate(MOST_GPUS);
            processes.truncate(MOST_PROCESSES);
            gpus.iter_mut().flat_map(|gpu| [&mut gpu.uuid, &mut gpu.name]).for_each(tidy);
            processes.iter_mut().flat_map(|one| [&mut one.gpu, &mut one.command]).for_each(tidy);
        }
        Gpus::Failed { why } => tidy(why),
        Gpus::Unknown | Gpus::None | Gpus::Missing | Gpus::Silent { .. } => {}
    }
    usage.stores.truncate(MOST_STORES);
    for store in &mut usage.stores {
        tidy(&mut store.target);
        if let StoreState::Failed { why } = &mut store.state {
            tidy(why);
        }
    }
    usage
}

fn tidy(text: &mut String) {
    *text = printable(text).chars().take(LONGEST).collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::usage::report::GpuProcess;

    #[test]
    fn lies_stay_small_and_printable() {
        let liar = GpuProcess { pid: -1, command: "\x1b[2J".repeat(1000), gpu: String::new(), memory: None };
        let gpus = Gpus::Listed { gpus: Vec::new(), processes: vec![liar; 1000] };
        let Gpus::Listed { processes, .. } = tidied(Usage { gpus, ..Usage::default() }).gpus else {
            panic!()
        };
        assert_eq!((processes.len(), processes[0].command.chars().count()), (MOST_PROCESSES, LONGEST));
        assert!(!processes[0].command.contains('\x1b'));
    }
}

//! What the menu says of what machines and slots use, in a few words.

use super::{Lang, Say};
use crate::reservation::UserName;
use crate::text::menu::Until;

/// A text of a few words. Text from outside in it has been made printable by the one who says it.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "each variant stands beside its two renderings below")]
pub enum Uses<'a> {
    NoGpu,
    Gpus {
        count: usize,
    },
    /// GPUs of one kind; without a name they are GPUs.
    Model {
        name: &'a str,
        count: usize,
    },
    /// Some of them, each said already.
    Kinds {
        said: &'a [String],
        more: bool,
    },
    /// One GPU, as its container counts.
    Gpu {
        index: u32,
        name: &'a str,
    },
    Percent {
        percent: u32,
    },
    Celsius {
        degrees: u32,
    },
    /// Nothing runs that could tell.
    NobodyWorks,
    NotYet,
    PartMeasured {
        measured: usize,
        gpus: usize,
    },
    GpuMemory,
    GpuBusy,
    Memory,
    Load {
        hundredths: u32,
        processors: Option<u32>,
    },
    Share,
    OverShare,
    Full,
    /// Who has a slot, by its number, until when.
    Has {
        number: u16,
        user: &'a UserName,
        until: Until,
    },
    StartingFor {
        number: u16,
        user: &'a UserName,
    },
    EndingOf {
        number: u16,
        user: &'a UserName,
    },
    HeldFor {
        number: u16,
        user: &'a UserName,
    },
}

impl Say for Uses<'_> {
    fn say(&self, lang: Lang) -> String {
        match *self {
            Self::NoGpu => lang.pick("no GPU", "pas de GPU").to_owned(),
            Self::Gpus { count: 1 } => "GPU".to_owned(),
            Self::Gpus { count } => lang.pick(format!("{count} GPUs"), format!("{count} GPU")),
            Self::Model { name: "", count } => Self::Gpus { count }.say(lang),
            Self::Model { name, count: 1 } => name.to_owned(),
            Self::Model { name, count } => format!("{count} × {name}"),
            Self::Kinds { said, more } => format!("{}{}", said.join(", "), if more { ", …" } else { "" }),
            Self::Gpu { index, name } => format!("GPU {index} {name}"),
            Self::Percent { percent } => format!("{percent} %"),
            Self::Celsius { degrees } => format!("{degrees} °C"),
            Self::NobodyWorks => lang
                .pick("not measured: nobody works there", "pas de mesure : personne n'y travaille")
                .to_owned(),
            Self::NotYet => lang.pick("not measured yet", "pas encore mesuré").to_owned(),
            Self::PartMeasured { measured, gpus } => {
                lang.pick(format!("{measured}/{gpus} measured"), format!("{measured}/{gpus} mesurés"))
            }
            Self::GpuMemory | Self::Memory => lang.pick("memory", "mémoire").to_owned(),
            Self::GpuBusy => lang.pick("busy", "occupé").to_owned(),
            Self::Load { hundredths, processors } => load(hundredths, processors, lang),
            Self::Share => lang.pick("GPU share", "part de GPU").to_owned(),
            Self::OverShare => lang.pick("over its GPU share", "au-delà de sa part de GPU").to_owned(),
            Self::Full => lang.pick("full", "plein").to_owned(),
            Self::Has { number, user, until } => {
                let at = until.clock();
                lang.pick(format!("{number}: {user} until {at}"), format!("{number} : {user} jusqu'à {at}"))
            }
            Self::StartingFor { number, user } => {
                lang.pick(format!("{number}: {user}, starting"), format!("{number} : {user}, démarre"))
            }
            Self::EndingOf { number, user } => {
                lang.pick(format!("{number}: {user}, ending"), format!("{number} : {user}, se termine"))
            }
            Self::HeldFor { number, user } => {
                lang.pick(format!("{number}: held for {user}"), format!("{number} : gardée pour {user}"))
            }
        }
    }
}

/// To the tenth, with the number of processors that it must be compared to.
fn load(hundredths: u32, processors: Option<u32>, lang: Lang) -> String {
    let tenths = u64::from(hundredths).saturating_add(5) / 10;
    let (whole, tenth) = (tenths / 10, tenths % 10);
    let of = processors.map(|count| format!("/{count}")).unwrap_or_default();
    lang.pick(format!("load {whole}.{tenth}{of}"), format!("charge {whole},{tenth}{of}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_compared_to_processors() {
        let said = |hundredths, processors, lang| Uses::Load { hundredths, processors }.say(lang);
        assert_eq!(said(1234, Some(16), Lang::En), "load 12.3/16");
        assert_eq!(said(96, None, Lang::Fr), "charge 1,0");
        assert_eq!(said(u32::MAX, Some(1), Lang::En), "load 42949673.0/1");
    }
}

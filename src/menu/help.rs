//! Help, over whatever screen is shown.

use ratatui::text::Line;

use super::model::Model;
use super::sheet::Sheet;
use super::wrap::wrap_lead;
use crate::text::Say;
use crate::text::mine::{Mine, help};

/// Where a line's second column begins: what does not fit goes on there.
const LEAD: usize = 19;

pub(super) fn sheet(model: &Model, top: usize, columns: usize) -> Sheet {
    let lines = help(model.lang).iter().flat_map(|line| wrap_lead(line, columns, LEAD));
    Sheet {
        heading: Mine::HelpHeading.say(model.lang),
        rows: lines.map(Line::raw).collect(),
        top,
        keys: vec![Mine::KeyClose.say(model.lang)],
        ..Sheet::default()
    }
}

//! What the menu says.

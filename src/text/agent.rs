//! What the agent says on the terminals of its container.

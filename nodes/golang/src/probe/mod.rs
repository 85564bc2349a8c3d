//! Probes: what to capture wherever a function stands on a stack. Parsed here, checked and carried out elsewhere.

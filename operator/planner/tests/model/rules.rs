//! Each rule taken out once: the check must find it.

#![doc = "russh as published, with the patches of `patches/` (README.md says why and for how long)."]
#![allow(warnings, clippy::all, rustdoc::all)]

include!(concat!(env!("OUT_DIR"), "/src/lib_inner.rs"));

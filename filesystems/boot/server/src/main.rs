//! Not written yet.
#![no_std]
#![no_main]

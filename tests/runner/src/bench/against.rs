//! `--against`: the same work on another system, and both columns in one table.
//!
//! The other system may not be to be had: no network, no package, a package that is cut. That is said, and Tenure's column stands alone.

use super::figure::Figure;
use super::linux::{self, Kernel};
use super::{Against, Bench, BenchOptions, compare as columns};
use crate::places::Places;
use crate::{Failure, Result, interrupt};

/// Gets what the other system needs, before anything is measured: whoever lacks it knows at once.
pub fn prepare(options: &BenchOptions, places: &Places) -> Result<Option<Kernel>> {
    match options.against {
        None => Ok(None),
        Some(Against::Linux) => available(linux::kernel(places), interrupt::requested(), &mut to_user),
    }
}

/// Measures the other system and prints both columns.
pub fn compare(bench: &Bench<'_>, kernel: &Kernel, figures: &[Figure]) -> Result<()> {
    let measured = linux::measure(bench.places, kernel, &bench.image, !bench.options.no_time);
    if let Some(column) = available(measured, interrupt::requested(), &mut to_user)? {
        print!("\n{}", columns::table(&kernel.name, figures, bench.options, &column));
    }
    Ok(())
}

fn to_user(failure: &Failure) {
    eprintln!("{failure}\nno comparison with Linux: Tenure's column stands alone");
}

/// What is to be had; `None` after a word about why it is not. After an interrupt the failure is one.
fn available<T>(result: Result<T>, interrupted: bool, say: &mut dyn FnMut(&Failure)) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failure) if interrupted => Err(failure),
        Err(failure) => {
            say(&failure);
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(result: Result<u8>, interrupted: bool) -> (Result<Option<u8>>, Vec<String>) {
        let mut said = Vec::new();
        let given = available(result, interrupted, &mut |failure| said.push(failure.what.clone()));
        (given, said)
    }

    #[test]
    fn without_the_other_system_it_is_said_and_goes_on() {
        assert_eq!(given(Ok(7), false), (Ok(Some(7)), vec![]));
        assert_eq!(
            given(Err(Failure::new("no network")), false),
            (Ok(None), vec![String::from("no network")])
        );
    }

    #[test]
    fn an_interrupt_ends_it() {
        assert_eq!(given(Err(interrupt::failure()), true), (Err(interrupt::failure()), vec![]));
    }
}

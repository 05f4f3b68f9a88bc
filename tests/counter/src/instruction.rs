//! What an instruction's bytes say: whether it is a mark, or one of a repeated string instruction.

/// `nopl 0x5A00xxxx(%rax)`: seven bytes, of which the last four are the displacement (Intel SDM vol. 2B, "NOP").
const MARK: [u8; 3] = [0x0f, 0x1f, 0x80];
/// Upper half of a mark's displacement.
const MARK_TAG: [u8; 2] = [0x00, 0x5a];

/// One end of a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// The region of this number begins.
    Begin(u16),
    /// It ends.
    End(u16),
}

/// The mark that an instruction is. The lower half of the displacement is twice the region's number, and one more at its
/// end.
pub fn mark(bytes: &[u8]) -> Option<Mark> {
    let [a, b, c, low, high, tag @ ..] = bytes else { return None };
    if [*a, *b, *c] != MARK || tag != MARK_TAG {
        return None;
    }
    let number = u16::from_le_bytes([*low, *high]);
    Some(if number % 2 == 0 { Mark::Begin(number / 2) } else { Mark::End(number / 2) })
}

/// Whether it is a string instruction with a `rep` prefix (Intel SDM vol. 2B, "REP"; vol. 2A, 2.1.1 and 2.2.1 on prefixes).
pub fn is_repeated(bytes: &[u8]) -> bool {
    let mut repeat = false;
    for &byte in bytes {
        match byte {
            0xf2 | 0xf3 => repeat = true,
            // Operand and address size, segments, REX.
            0x66 | 0x67 | 0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0x40..=0x4f => {}
            // INS, OUTS; MOVS, CMPS; STOS, LODS, SCAS.
            0x6c..=0x6f | 0xa4..=0xa7 | 0xaa..=0xaf => return repeat,
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_carry_the_number_of_their_region() {
        assert_eq!(mark(&[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x5a]), Some(Mark::Begin(0)));
        assert_eq!(mark(&[0x0f, 0x1f, 0x80, 0x2b, 0x00, 0x00, 0x5a]), Some(Mark::End(21)));
        assert_eq!(mark(&[0x0f, 0x1f, 0x80, 0xfe, 0xff, 0x00, 0x5a]), Some(Mark::Begin(0x7fff)));
    }

    #[test]
    fn padding_and_other_instructions_are_no_marks() {
        for bytes in [
            &[0x0f, 0x1f, 0x80, 0, 0, 0, 0][..],
            &[0x0f, 0x1f, 0x84, 0, 0, 0, 0x5a],
            &[0x0f, 0x1f, 0x80, 0, 0, 0, 0x5a, 0],
            &[0x90],
            &[],
        ] {
            assert_eq!(mark(bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn repeated_string_instructions_are_told_from_others() {
        let repeated: [&[u8]; 4] = [&[0xf3, 0xa4], &[0xf3, 0x48, 0xab], &[0xf2, 0x66, 0xaf], &[0xf3, 0x6c]];
        assert!(repeated.iter().all(|bytes| is_repeated(bytes)));
        // MOVSB once, PAUSE, ENDBR64, MOVSD (SSE2), nothing.
        let others: [&[u8]; 5] =
            [&[0xa4], &[0xf3, 0x90], &[0xf3, 0x0f, 0x1e, 0xfa], &[0xf2, 0x0f, 0x10, 0x00], &[]];
        assert!(others.iter().all(|bytes| !is_repeated(bytes)));
    }
}

//! What the supervisor has printed so far: the lines, sorted by kind, and the verdict.

use tests_stress_core::Line;

/// Everything that a run told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings {
    /// The last line of progress.
    pub progress: Option<Line>,
    /// What each task did.
    pub tasks: Vec<Line>,
    /// Times.
    pub latencies: Vec<Line>,
    /// Counters of the whole system, line by line.
    pub counts: Vec<Line>,
    /// Breaches, in order.
    pub breaches: Vec<Line>,
    /// Why the run could not be made.
    pub failed: Option<String>,
    /// The last line of all.
    pub end: Option<Line>,
    /// Output that is no such line.
    pub other: String,
    part: Vec<u8>,
}

/// What came of it all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every law was kept.
    Kept,
    /// So often one was broken.
    Broken(u64),
    /// The run has not come to its end.
    Unfinished,
}

impl Findings {
    /// Takes output as it comes, in any pieces.
    pub fn take(&mut self, bytes: &[u8]) {
        self.part.extend_from_slice(bytes);
        while let Some(end) = self.part.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.part.drain(..=end).collect();
            self.take_line(&String::from_utf8_lossy(&line));
        }
    }

    fn take_line(&mut self, text: &str) {
        let Some(line) = Line::parse(text) else {
            self.other += text;
            return;
        };
        match line.kind.as_str() {
            "progress" => self.progress = Some(line),
            "task" => self.tasks.push(line),
            "latency" => self.latencies.push(line),
            "breach" => self.breaches.push(line),
            "failed" => self.failed = Some(line.text),
            "end" => self.end = Some(line),
            _ => self.counts.push(line),
        }
    }

    /// A counter of the whole system.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.iter().find(|line| line.get(name).is_some()).map_or(0, |line| line.number(name))
    }

    /// Seconds of the run, on the guest's clock.
    pub fn seconds(&self) -> u64 {
        self.progress.as_ref().map_or(0, |line| line.number("milliseconds") / 1000)
    }

    /// What came of it.
    pub fn verdict(&self) -> Verdict {
        match &self.end {
            None => Verdict::Unfinished,
            Some(end) => match end.number("broken").max(self.breaches.len() as u64) {
                0 => Verdict::Kept,
                broken => Verdict::Broken(broken),
            },
        }
    }

    /// One line for a person who waits.
    pub fn progress_line(&self, seconds: u64) -> Option<String> {
        let line = self.progress.as_ref()?;
        let now = line.number("milliseconds");
        let [running, starts, tried, checked, broken] =
            ["running", "starts", "tried", "checked", "broken"].map(|name| line.number(name));
        Some(format!(
            "{}.{} of {seconds} s: {running} tasks run, {starts} started; {tried} attacks, {checked} checks, {broken} broken",
            now / 1000,
            now / 100 % 10
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_in_any_pieces() {
        let mut findings = Findings::default();
        for piece in [
            "hel",
            "lo\n#stress progress milliseconds=1250 run",
            "ning=3 broken=0\n#stress en",
            "d broken=0\n",
        ] {
            findings.take(piece.as_bytes());
        }
        assert_eq!(findings.other, "hello\n");
        assert_eq!(findings.verdict(), Verdict::Kept);
        let line = findings.progress_line(10).unwrap();
        assert_eq!(line, "1.2 of 10 s: 3 tasks run, 0 started; 0 attacks, 0 checks, 0 broken");
    }

    #[test]
    fn without_its_last_line_a_run_is_not_finished() {
        let mut findings = Findings::default();
        assert_eq!((findings.verdict(), findings.progress_line(1)), (Verdict::Unfinished, None));
        findings.take(b"#stress breach task=probes :a secret\n");
        assert_eq!(findings.verdict(), Verdict::Unfinished);
        findings.take(b"#stress counts zeroed=7\n#stress end broken=0\n");
        assert_eq!((findings.verdict(), findings.count("zeroed")), (Verdict::Broken(1), 7));
    }
}

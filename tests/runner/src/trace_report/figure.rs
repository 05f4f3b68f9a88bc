//! Pictures as SVG: a plane with time to the right, axes with units, and what is drawn on it.
//!
//! Colours are classes of the page's style sheet, so that a picture suits light and dark. Each picture is drawn twice, for a
//! wide page and for a phone, with letters of one size; the style sheet shows the one that fits.

use std::fmt::Write;

/// Width of a picture on a wide page, and on a phone, in pixels.
const WIDTHS: [(f64, &str); 2] = [(720.0, "wide"), (356.0, "narrow")];
/// Room for the numbers at the left.
const LEFT: f64 = 64.0;
/// Room at the right, so that the last number fits.
const RIGHT: f64 = 20.0;
const TOP: f64 = 10.0;
/// Room for the numbers and the unit below.
const BOTTOM: f64 = 40.0;
/// Lines of the grid, about; of the time, one for so many pixels.
const TICKS: f64 = 5.0;
const TIME_TICK: f64 = 55.0;
/// Milliseconds from which on times are shown in seconds.
const SECONDS_FROM: f64 = 5000.0;

/// Text for HTML and SVG.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A number as people write it.
pub fn number(value: f64) -> String {
    let (value, unit) = match value {
        value if value >= 1e9 => (value / 1e9, "G"),
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e4 => (value / 1e3, "k"),
        value => (value, ""),
    };
    let text =
        if value >= 100.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

/// A picture under way.
pub struct Figure {
    body: String,
    width: f64,
    height: f64,
    /// Moments at the left and right end, in milliseconds.
    begin: f64,
    end: f64,
    /// Value at the top; at the bottom it is 0.
    most: f64,
}

/// A step of a grid: 1, 2 or 5 times a power of ten.
fn step(range: f64, ticks: f64) -> f64 {
    let rough = (range / ticks).max(1e-9);
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|&step| step >= rough).unwrap_or(rough)
}

/// What a picture shows: the height of its plane, moments at its left and right end in milliseconds, the value at the top.
#[derive(Clone, Copy)]
pub struct Plane {
    /// In pixels.
    pub height: f64,
    /// At the left.
    pub begin: f64,
    /// At the right.
    pub end: f64,
    /// At the top.
    pub most: f64,
}

/// The picture in all its widths, with a description for those who do not see it.
pub fn picture(plane: Plane, description: &str, draw: impl Fn(&mut Figure)) -> String {
    let one = |(width, class)| {
        let mut figure = Figure::new(width, plane);
        draw(&mut figure);
        figure.finish(class, description)
    };
    WIDTHS.map(one).concat()
}

impl Figure {
    fn new(width: f64, plane: Plane) -> Figure {
        let Plane { height, begin, end, most } = plane;
        let end = if end > begin { end } else { begin + 1.0 };
        Figure { body: String::new(), width, height, begin, end, most: if most > 0.0 { most } else { 1.0 } }
    }

    /// Where a moment lies.
    pub fn x(&self, moment: f64) -> f64 {
        let part = ((moment - self.begin) / (self.end - self.begin)).clamp(0.0, 1.0);
        LEFT + part * (self.width - LEFT - RIGHT)
    }

    /// Where a value lies.
    pub fn y(&self, value: f64) -> f64 {
        TOP + self.height * (1.0 - (value / self.most).clamp(0.0, 1.0))
    }

    /// Draws numbers and lines of the grid, and names the values.
    pub fn axes(&mut self, values: Option<&str>) {
        let (left, right, bottom) = (LEFT, self.width - RIGHT, TOP + self.height);
        if let Some(unit) = values {
            let step = step(self.most, TICKS);
            let mut value = 0.0;
            while value <= self.most * 1.0001 {
                let y = self.y(value);
                let text = number(value);
                let _ = write!(
                    self.body,
                    "<path class=grid d='M{left} {y:.1}H{right}'/><text x={} y={:.1} class=end>{text}</text>",
                    left - 6.0,
                    y + 4.0
                );
                value += step;
            }
            let middle = TOP + self.height / 2.0;
            let _ = write!(
                self.body,
                "<text class=mid transform='translate(12 {middle:.0}) rotate(-90)'>{unit}</text>"
            );
        }
        // Long times in seconds.
        let (unit, scale) = if self.end >= SECONDS_FROM { ("s", 1000.0) } else { ("ms", 1.0) };
        let step = step(self.end - self.begin, ((right - left) / TIME_TICK).max(2.0));
        let mut moment = (self.begin / step).ceil() * step;
        while moment <= self.end {
            let x = self.x(moment);
            let _ = write!(
                self.body,
                "<path class=grid d='M{x:.1} {TOP}V{bottom}'/><text x={x:.1} y={:.1} class=mid>{}</text>",
                bottom + 16.0,
                number(moment / scale)
            );
            moment += step;
        }
        let _ = write!(
            self.body,
            "<text x={:.0} y={:.1} class=mid>time since boot, {unit}</text>",
            f64::midpoint(left, right),
            bottom + 33.0
        );
    }

    /// A row's name at the left.
    pub fn row_name(&mut self, y: f64, name: &str) {
        let _ =
            write!(self.body, "<text x={} y={:.1} class=end>{}</text>", LEFT - 6.0, y + 4.0, escaped(name));
    }

    /// A filled area between two lines over the same moments.
    pub fn area(&mut self, class: &str, title: &str, points: &[(f64, f64, f64)]) {
        let mut path = String::new();
        for (index, &(moment, _, top)) in points.iter().enumerate() {
            let _ = write!(
                path,
                "{}{:.1} {:.1}",
                if index == 0 { 'M' } else { 'L' },
                self.x(moment),
                self.y(top)
            );
        }
        for &(moment, bottom, _) in points.iter().rev() {
            let _ = write!(path, "L{:.1} {:.1}", self.x(moment), self.y(bottom));
        }
        let _ =
            write!(self.body, "<path class='{class}' d='{path}Z'><title>{}</title></path>", escaped(title));
    }

    /// A line.
    pub fn line(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (index, (moment, value)) in points.enumerate() {
            let _ = write!(
                path,
                "{}{:.1} {:.1}",
                if index == 0 { 'M' } else { 'L' },
                self.x(moment),
                self.y(value)
            );
        }
        let _ = write!(self.body, "<path class='line {class}' d='{path}'/>");
    }

    /// A bar from one moment to another, at least wide enough to be seen.
    pub fn bar(&mut self, class: &str, title: &str, (from, to): (f64, f64), y: f64, height: f64) {
        let (left, right) = (self.x(from), self.x(to));
        let width = (right - left).max(1.2);
        let _ = write!(
            self.body,
            "<rect class='{class}' x={left:.1} y={y:.1} width={width:.1} height={height:.1}><title>{}</title></rect>",
            escaped(title)
        );
    }

    /// A mark at a moment.
    pub fn mark(&mut self, class: &str, moment: f64, y: f64, height: f64) {
        let x = self.x(moment);
        let _ = write!(self.body, "<path class='mark {class}' d='M{x:.1} {y:.1}v{height:.1}'/>");
    }

    fn finish(self, class: &str, description: &str) -> String {
        let height = TOP + self.height + BOTTOM;
        let description = escaped(description);
        let (width, body) = (self.width, self.body);
        format!(
            "<svg class={class} viewBox='0 0 {width} {height:.0}' role=img aria-label=\"{description}\">{body}</svg>"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.25, 5.0, 123.4, 1500.0, 12_345.0, 2e6, 3.5e9].map(number);
        assert_eq!(shown, ["0", "0.25", "5", "123", "1500", "12.35k", "2M", "3.5G"]);
    }

    #[test]
    fn grids_have_a_handful_of_lines() {
        for range in [0.001, 1.0, 7.0, 99.0, 12_345.0, 1e9] {
            assert!((2.0..=6.0).contains(&(range / step(range, TICKS))), "{range}");
        }
    }

    #[test]
    fn nothing_leaves_the_plane_and_no_text_is_markup() {
        let plane = Plane { height: 100.0, begin: 5.0, end: 5.0, most: 0.0 };
        let mut figure = Figure::new(400.0, plane);
        assert_eq!(figure.x(-1e9), LEFT);
        assert_eq!(figure.x(1e9), 400.0 - RIGHT);
        assert_eq!((figure.y(1e9), figure.y(0.0)), (TOP, TOP + 100.0));
        figure.axes(Some("frames"));
        figure.bar("lock", "<b>&\"", (5.0, 6.0), 1.0, 2.0);
        let text = figure.finish("wide", "a \"picture\"");
        assert!(!text.contains("<b>") && text.contains("&lt;b&gt;&amp;&quot;"));
        assert!(text.contains("a &quot;picture&quot;") && !text.contains("NaN"));
    }
}

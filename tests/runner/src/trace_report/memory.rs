//! Who owned memory over time: contracts one above the other, each with what it held within its guarantee and beyond it.

use super::figure::{Figure, Plane, escaped, number, picture};
use super::read::Trace;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Contracts that are shown by name, those that ever held the most; the others are shown together.
const NAMED: usize = 7;
/// Moments at which it is looked who held what.
const MOMENTS: usize = 240;
/// The file server, whose contract holds the file cache.
const CACHE: &str = "ext";

/// How one layer was at each moment.
struct Layer {
    name: String,
    class: String,
    frames: Vec<f64>,
}

/// What a contract held at some moments: within its guarantee, beyond it.
type Steps = Vec<(f64, f64, f64)>;

/// The value in force at a moment.
fn at(steps: &Steps, time: f64) -> (f64, f64) {
    let next = steps.partition_point(|&(since, ..)| since <= time);
    next.checked_sub(1).map_or((0.0, 0.0), |last| (steps[last].1, steps[last].2))
}

/// All that was counted of one kind, by name, in the order of time.
fn steps(trace: &Trace, category: &str, first: &str, second: &str) -> BTreeMap<String, Steps> {
    let mut all: BTreeMap<String, Steps> = BTreeMap::new();
    for one in trace.entries.iter().filter(|one| one.category == category && one.phase == 'C') {
        all.entry(one.name.clone()).or_default().push((one.time, one.number(first), one.number(second)));
    }
    all
}

fn layers(trace: &Trace, moments: &[f64]) -> Vec<Layer> {
    let contracts = steps(trace, "contract", "guaranteed", "extra");
    let peak = |steps: &Steps| steps.iter().map(|&(_, first, second)| first + second).fold(0.0, f64::max);
    let mut order: Vec<_> = contracts.iter().collect();
    order.sort_by(|one, other| peak(other.1).total_cmp(&peak(one.1)));
    let sampled =
        |which: &dyn Fn(f64) -> f64| moments.iter().map(|&moment| which(moment)).collect::<Vec<_>>();
    let whole = steps(trace, "frames", "kernel", "free");
    let whole = whole.get("frames").cloned().unwrap_or_default();
    let mut layers = vec![Layer {
        name: String::from("kernel and physmem"),
        class: String::from("c-kernel"),
        frames: sampled(&|moment| at(&whole, moment).0),
    }];
    for (index, (name, steps)) in order.iter().take(NAMED).enumerate() {
        let short = name.strip_prefix("contract ").unwrap_or(name);
        let is_cache = short.split(' ').next() == Some(CACHE);
        let beyond = if is_cache { "cache, extra" } else { "extra" };
        for (part, class) in [("guaranteed", "g"), (beyond, "x")] {
            let frames = sampled(&|moment| {
                let (guaranteed, extra) = at(steps, moment);
                if class == "g" { guaranteed } else { extra }
            });
            if frames.iter().any(|&frames| frames > 0.0) {
                layers.push(Layer {
                    name: format!("{short}: {part}"),
                    class: format!("c{index}{class}"),
                    frames,
                });
            }
        }
    }
    let rest: Vec<_> = order.iter().skip(NAMED).collect();
    if !rest.is_empty() {
        let all = |moment| {
            rest.iter().map(|(_, steps)| at(steps, moment)).map(|(first, second)| first + second).sum()
        };
        let name = format!("{} other contracts", rest.len());
        layers.push(Layer { name, class: String::from("c-rest"), frames: sampled(&all) });
    }
    let frames = sampled(&|moment| at(&whole, moment).1);
    layers.push(Layer { name: String::from("free"), class: String::from("c-free"), frames });
    layers
}

/// The picture, with its legend.
pub fn section(trace: &Trace) -> String {
    let counted: Vec<f64> = trace.entries.iter().filter(|one| one.phase == 'C').map(|one| one.time).collect();
    let (Some(&begin), Some(&end)) = (counted.first(), counted.last()) else {
        return String::from("<p>Nothing is said of contracts in this file.</p>");
    };
    let moments: Vec<f64> =
        (0..=MOMENTS).map(|step| begin + (end - begin) * step as f64 / MOMENTS as f64).collect();
    let layers = layers(trace, &moments);
    let sum = |index: usize| layers.iter().map(|layer| layer.frames[index]).sum::<f64>();
    let most = (0..moments.len()).map(sum).fold(0.0, f64::max);
    let plane = Plane { height: 260.0, begin: begin / 1000.0, end: end / 1000.0, most };
    let draw = |figure: &mut Figure| {
        let mut floor = vec![0.0; moments.len()];
        for layer in &layers {
            let points: Vec<_> = (0..moments.len())
                .map(|index| (moments[index] / 1000.0, floor[index], floor[index] + layer.frames[index]))
                .collect();
            figure.area(&layer.class, &layer.name, &points);
            for (floor, point) in floor.iter_mut().zip(points) {
                *floor = point.2;
            }
        }
        figure.axes(Some("frames of 4 KiB"));
    };
    let mut text = picture(plane, "Frames held by each contract over time, stacked", draw);
    text += "<ul class=legend>";
    for layer in layers.iter().rev() {
        let last = layer.frames.last().copied().unwrap_or(0.0);
        let (class, name) = (&layer.class, escaped(&layer.name));
        let _ = write!(
            text,
            "<li><span class='swatch {class}'></span>{name} <small>{} at the end</small></li>",
            number(last)
        );
    }
    text + "</ul>"
}

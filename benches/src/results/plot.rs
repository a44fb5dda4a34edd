//! Plots: one row a load, one colour a server, a dot for the median and a line for the range.

use anyhow::anyhow;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Kept;
use crate::load::Cell;
use crate::rivals::{RIVALS, Rival};

/// A plot, and the file that it becomes.
pub(super) struct Plot {
    /// Its name, which begins with that of its measurement.
    pub(super) file: String,
    /// What is in it.
    pub(super) svg: String,
}

/// A median and its range.
type Dot = (f64, f64, f64);

/// What is drawn.
struct Picture<'a> {
    title: &'a str,
    axis: &'a str,
    /// Powers of ten are equally far from each other.
    logarithmic: bool,
    cells: Vec<Cell>,
    servers: Vec<&'static Rival>,
    dot: &'a dyn Fn(&str, Cell) -> Option<Dot>,
}

const COLOURS: [RGBColor; 9] = [
    RGBColor(0x55, 0x55, 0x55),
    RGBColor(0xAA, 0xAA, 0xAA),
    RGBColor(0xD6, 0x27, 0x28),
    RGBColor(0x1F, 0x77, 0xB4),
    RGBColor(0x2C, 0xA0, 0x2C),
    RGBColor(0x98, 0xDF, 0x8A),
    RGBColor(0xFF, 0x7F, 0x0E),
    RGBColor(0x94, 0x67, 0xBD),
    RGBColor(0x8C, 0x56, 0x4B),
];

/// Every plot of what is kept.
pub(super) fn all(kept: &Kept) -> anyhow::Result<Vec<Plot>> {
    let mut plots = Vec::new();
    for (threads, suffix) in [(1, "1 thread"), (2, "2 threads")] {
        let servers: Vec<&Rival> = RIVALS.iter().filter(|rival| rival.threads == threads).collect();
        let mut add = |name: &str, picture: Picture<'_>| -> anyhow::Result<()> {
            if let Some(svg) = picture.draw()? {
                plots.push(Plot { file: format!("{name}-{threads}.svg"), svg });
            }
            Ok(())
        };
        if let Some(report) = &kept.pairs {
            let dot =
                |server: &str, cell| report.at(server, cell).map(|row| (row.time.ratio, row.time.least, row.time.most));
            let picture = Picture {
                title: &format!("Processor time per request, {suffix}"),
                axis: "x bare, at the same moment",
                logarithmic: false,
                cells: cells(report.rows.iter().map(|row| row.cell)),
                servers: servers.clone(),
                dot: &dot,
            };
            add("pairs", picture)?;
        }
        if let Some(report) = &kept.rates {
            let bare = RIVALS.iter().find(|rival| rival.threads == threads).map_or("", |rival| rival.name);
            let rate = |server: &str, cell| {
                let (row, bare) = (report.at(server, cell)?, report.at(bare, cell)?);
                Some((row.rate / bare.rate, row.least / bare.rate, row.most / bare.rate))
            };
            let late = |server: &str, cell| report.at(server, cell).map(|row| (row.p99_us, row.p50_us, row.p99_us));
            let picture = Picture {
                title: &format!("Requests per second, {suffix}"),
                axis: "x bare",
                logarithmic: false,
                cells: cells(report.rows.iter().map(|row| row.cell)),
                servers: servers.clone(),
                dot: &rate,
            };
            add("rates", picture)?;
            let picture = Picture {
                title: &format!("Latency, {suffix}: from the median to the 99th percentile"),
                axis: "microseconds",
                logarithmic: true,
                cells: cells(report.rows.iter().map(|row| row.cell)),
                servers: servers.clone(),
                dot: &late,
            };
            add("rates-latency", picture)?;
        }
    }
    plots.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(plots)
}

/// Each once.
fn cells(all: impl Iterator<Item = Cell>) -> Vec<Cell> {
    let mut cells: Vec<Cell> = all.collect();
    cells.sort();
    cells.dedup();
    cells
}

const WIDTH: u32 = 900;
const LEFT: u32 = 150;
const LANE: u32 = 7;
const LEGEND: u32 = 18;
const HEAD: u32 = 34;
const FOOT: u32 = 56;

impl Picture<'_> {
    /// As SVG; none if there is nothing to draw.
    fn draw(&self) -> anyhow::Result<Option<String>> {
        let dots: Vec<Dot> = self
            .cells
            .iter()
            .flat_map(|cell| self.servers.iter().filter_map(|server| (self.dot)(server.name, *cell)))
            .collect();
        let least = dots.iter().map(|dot| dot.1).fold(f64::INFINITY, f64::min);
        let most = dots.iter().map(|dot| dot.2).fold(0.0, f64::max);
        if dots.is_empty() {
            return Ok(None);
        }
        let mut svg = String::new();
        let result = if self.logarithmic {
            self.draw_on(&mut svg, (least * 0.8..most * 1.25).log_scale())
        } else {
            let margin = (most - least).max(0.1) * 0.05;
            self.draw_on(&mut svg, least - margin..most + margin)
        };
        // plotters' errors know nothing of threads.
        result.map_err(|error| anyhow!("{}: {error}", self.title))?;
        Ok(Some(svg))
    }

    fn draw_on<X>(&self, svg: &mut String, axis: X) -> Result<(), DrawingAreaErrorKind<std::io::Error>>
    where
        X: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64>,
    {
        let band = LANE * (self.servers.len() as u32 + 1);
        let legend = LEGEND * (self.servers.len() as u32).div_ceil(3);
        let height = HEAD + legend + band * self.cells.len() as u32 + FOOT;
        let root = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE)?;
        let text = |size: u32, pos: Pos| TextStyle::from(("sans-serif", size)).pos(pos);
        root.draw_text(self.title, &text(18, Pos::new(HPos::Left, VPos::Top)), (16, 10))?;
        let small = text(12, Pos::new(HPos::Left, VPos::Center));
        for (at, server) in self.servers.iter().enumerate() {
            let place = (24 + at as i32 % 3 * 290, (HEAD + LEGEND / 2) as i32 + at as i32 / 3 * LEGEND as i32);
            root.draw(&Circle::new(place, 4, COLOURS[at % COLOURS.len()].filled()))?;
            root.draw_text(server.name, &small, (place.0 + 10, place.1))?;
        }
        let mut chart = ChartBuilder::on(&root)
            .margin_top(HEAD + legend)
            .margin_right(24)
            .x_label_area_size(FOOT - 4)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(axis, 0.0..self.cells.len() as f64)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(0)
            .x_labels(10)
            .x_desc(self.axis)
            .light_line_style(TRANSPARENT)
            .draw()?;
        let lanes = self.servers.len() as f64 + 1.0;
        let right = text(12, Pos::new(HPos::Right, VPos::Center));
        for (row, cell) in self.cells.iter().enumerate() {
            // The first load on top.
            let top = (self.cells.len() - row) as f64;
            for (at, server) in self.servers.iter().enumerate() {
                let Some((middle, least, most)) = (self.dot)(server.name, *cell) else { continue };
                let lane = top - (at as f64 + 1.0) / lanes;
                let colour = COLOURS[at % COLOURS.len()];
                chart.draw_series([PathElement::new([(least, lane), (most, lane)], colour.stroke_width(2))])?;
                chart.draw_series([Circle::new((middle, lane), 3, colour.filled())])?;
            }
            let y = (HEAD + legend + band * row as u32 + band / 2) as i32;
            root.draw_text(&cell.to_string(), &right, (LEFT as i32 - 8, y))?;
        }
        root.draw_text("connections x bytes x depth", &right, (LEFT as i32 - 8, (height - FOOT + 12) as i32))?;
        root.present()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_for_each_figure_and_none_without() {
        let cells: Vec<Cell> = [1, 64].map(|connections| Cell { connections, size: 1024, depth: 1 }).into();
        let draw = |dot: &dyn Fn(&str, Cell) -> Option<Dot>, logarithmic| {
            let servers = RIVALS.iter().take(3).collect();
            Picture { title: "A title", axis: "x", logarithmic, cells: cells.clone(), servers, dot }.draw().unwrap()
        };
        assert_eq!(draw(&|_, _| None, false), None);
        for logarithmic in [false, true] {
            let known =
                |server: &str, cell: Cell| (server == "bare" || cell.connections == 64).then_some((1.5, 1.0, 2.0));
            let svg = draw(&known, logarithmic).expect("a plot");
            // Three in the legend, one for each of the first server's two, and the others' one.
            assert_eq!(svg.matches("<circle").count(), 3 + 4);
            assert!(svg.contains("A title") && svg.contains("64 x 1024 x 1"));
        }
    }
}

package report

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/atollsync/atoll/simulations"
)

// The colours are those of Okabe and Ito, which people who see few colours can tell apart.
var (
	blue   = color.RGBA{0, 114, 178, 255}
	orange = color.RGBA{213, 94, 0, 255}
	green  = color.RGBA{0, 158, 115, 255}
	grey   = color.RGBA{110, 110, 110, 255}
	shade  = color.RGBA{240, 228, 200, 255}
)

// chart is one figure, drawn narrow enough that its letters can be read on a phone.
type chart struct {
	title, note string
	plot        *plot.Plot
	err         error
}

const (
	chartWidth  = 400 * vg.Length(1)
	chartHeight = 210 * vg.Length(1)
)

// draw returns the chart as SVG that takes the width it is given.
func (c chart) draw() (template.HTML, error) {
	if c.err != nil {
		return "", c.err
	}
	canvas := vgsvg.New(chartWidth, chartHeight)
	c.plot.Draw(draw.New(canvas))
	var buf bytes.Buffer
	if _, err := canvas.WriteTo(&buf); err != nil {
		return "", err
	}
	return inline(buf.String(), c.title), nil
}

var (
	svgSize = regexp.MustCompile(`<svg width="[^"]*" height="[^"]*"`)
	svgFont = regexp.MustCompile(`font-family:[^;"]*`)
)

// inline makes a stand-alone SVG file part of a page.
func inline(svg, label string) template.HTML {
	if i := strings.Index(svg, "<svg"); i >= 0 {
		svg = svg[i:]
	}
	svg = svgSize.ReplaceAllString(svg, `<svg role="img" aria-label="`+template.HTMLEscapeString(label)+`"`)
	svg = svgFont.ReplaceAllString(svg, "font-family:Arial,Helvetica,sans-serif")
	return template.HTML(svg)
}

// charts returns the figures that r has something for.
func charts(r *simulations.Result) []chart {
	var out []chart
	if len(r.Samples) > 1 {
		total := byteUnit(r.Samples[len(r.Samples)-1].Bytes)
		out = append(out,
			overTime(r, "Versions apart", "How many different versions the honest devices hold. One: all hold the same.", "versions",
				series{"", orange, func(s simulations.Sample) float64 { return float64(s.Apart) }}),
			overTime(r, "What devices lack", "Operations that some honest device holds and another does not, summed over the devices.", "operations",
				series{"", orange, func(s simulations.Sample) float64 { return float64(s.Behind) }}),
			overTime(r, "Devices", "How many devices have a network, and how many are down.", "devices",
				series{"online", green, func(s simulations.Sample) float64 { return float64(s.Online) }},
				series{"down", grey, func(s simulations.Sample) float64 { return float64(s.Down) }}),
			overTime(r, "Traffic", "Bytes sent since the start, by all devices.", total.name,
				series{"", blue, func(s simulations.Sample) float64 { return float64(s.Bytes) / total.size }}),
			overTime(r, "Changes", "Changes made, and how many of them the average device holds.", "changes",
				series{"made", blue, func(s simulations.Sample) float64 { return float64(s.Changes) }},
				series{"held", green, func(s simulations.Sample) float64 {
					return float64(s.Changes+s.Applied) / float64(max(1, len(r.Devices)))
				}}))
	}
	if len(r.Devices) > 1 {
		most := 0
		for _, d := range r.Devices {
			most = max(most, d.Sent, d.Received)
		}
		unit := byteUnit(most)
		out = append(out, bars(r, "Bytes per device", "What each device sent and received.", unit.name, func(d simulations.DeviceResult) (float64, float64) {
			return float64(d.Sent) / unit.size, float64(d.Received) / unit.size
		}, "sent", "received"))
		if slices.ContainsFunc(r.Devices, func(d simulations.DeviceResult) bool { return d.Lag > 0 }) {
			out = append(out, bars(r, "Convergence lag", "The longest that a device's change took to reach every honest device that was online.", lagUnit(r), func(d simulations.DeviceResult) (float64, float64) {
				return inLagUnit(r, d.Lag), 0
			}, "", ""))
		}
	}
	return out
}

// unit is what a figure counts in.
type unit struct {
	name string
	size float64
}

// byteUnit returns the unit in which n bytes are a number that reads well.
func byteUnit(n int) unit {
	switch {
	case n >= 2e9:
		return unit{"GB", 1e9}
	case n >= 2e6:
		return unit{"MB", 1e6}
	case n >= 2e3:
		return unit{"kB", 1e3}
	}
	return unit{"bytes", 1}
}

// longestLag returns the longest lag of a device.
func longestLag(r *simulations.Result) (lag time.Duration) {
	for _, d := range r.Devices {
		lag = max(lag, d.Lag)
	}
	return lag
}

func lagUnit(r *simulations.Result) string {
	switch lag := longestLag(r); {
	case lag >= 48*time.Hour:
		return "days"
	case lag >= 2*time.Hour:
		return "hours"
	case lag >= 2*time.Minute:
		return "minutes"
	}
	return "seconds"
}

func inLagUnit(r *simulations.Result, d time.Duration) float64 {
	switch lagUnit(r) {
	case "days":
		return d.Hours() / 24
	case "hours":
		return d.Hours()
	case "minutes":
		return d.Minutes()
	}
	return d.Seconds()
}

// newPlot returns an empty plot in the style of the page.
func newPlot(unit string) *plot.Plot {
	p := plot.New()
	small := font.Font{Typeface: "Liberation", Variant: "Sans", Size: 9}
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Tick.Label.Font = small
		a.Label.TextStyle.Font = small
		a.LineStyle.Color, a.Tick.LineStyle.Color = grey, grey
		a.Padding = 2
	}
	p.Legend.TextStyle.Font = small
	p.Legend.Top, p.Legend.Left = true, true
	p.Y.Label.Text = unit
	p.Y.Min = 0
	p.Y.Tick.Marker = roundTicks{}
	return p
}

// series is a line over the samples.
type series struct {
	name  string
	color color.Color
	of    func(simulations.Sample) float64
}

// overTime draws lines over the run, on a ground that is shaded where the network was cut.
func overTime(r *simulations.Result, title, note, unit string, lines ...series) chart {
	p := newPlot(unit)
	p.X.Min, p.X.Max = 0, r.Ended.Seconds()
	p.X.Tick.Marker = timeTicks{}
	top := 0.0
	for _, s := range r.Samples {
		for _, l := range lines {
			top = max(top, l.of(s))
		}
	}
	p.Y.Max = max(top*1.08, 1e-3)
	if len(lines) > 1 {
		p.Y.Max *= 1.25 // room for the legend
	}
	if cut := cuts(r); len(cut) > 0 {
		p.Add(bands(cut))
		note += " Shaded: the network was cut."
	}
	if r.Healed > 0 && r.Healed < r.Ended {
		healed, err := plotter.NewLine(plotter.XYs{{X: r.Healed.Seconds(), Y: 0}, {X: r.Healed.Seconds(), Y: p.Y.Max}})
		if err != nil {
			return chart{title: title, err: err}
		}
		healed.Color, healed.Dashes = grey, []vg.Length{3, 3}
		p.Add(healed)
	}
	for _, l := range lines {
		xys := make(plotter.XYs, 0, len(r.Samples))
		for _, s := range r.Samples {
			xys = append(xys, plotter.XY{X: s.At.Seconds(), Y: l.of(s)})
		}
		line, err := plotter.NewLine(thin(xys))
		if err != nil {
			return chart{title: title, err: err}
		}
		line.StepStyle = plotter.PostStep
		line.Color, line.Width = l.color, 1.4
		p.Add(line)
		if l.name != "" {
			p.Legend.Add(l.name, line)
		}
	}
	return chart{title: title, note: note, plot: p}
}

// maxPoints bounds the points of a line: more cannot be seen.
const maxPoints = 800

// thin drops points of a long line, but never a highest or lowest one of those it stands for.
func thin(xys plotter.XYs) plotter.XYs {
	if len(xys) <= maxPoints {
		return xys
	}
	var out plotter.XYs
	per := (len(xys) + maxPoints/2 - 1) / (maxPoints / 2)
	for i := 0; i < len(xys); i += per {
		part := xys[i:min(i+per, len(xys))]
		lo, hi := 0, 0
		for j := range part {
			if part[j].Y < part[lo].Y {
				lo = j
			}
			if part[j].Y > part[hi].Y {
				hi = j
			}
		}
		out = append(out, part[min(lo, hi)])
		if lo != hi {
			out = append(out, part[max(lo, hi)])
		}
	}
	return out
}

// cuts returns when the network was cut, as seconds, joined where they overlap.
func cuts(r *simulations.Result) [][2]float64 {
	var out [][2]float64
	for _, s := range r.Spans {
		if s.What == "partition" || s.What == "cut" {
			out = append(out, [2]float64{s.From.Seconds(), s.To.Seconds()})
		}
	}
	slices.SortFunc(out, func(a, b [2]float64) int { return cmp.Compare(a[0], b[0]) })
	n := 0
	for _, c := range out {
		if n > 0 && c[0] <= out[n-1][1] {
			out[n-1][1] = max(out[n-1][1], c[1])
			continue
		}
		out[n] = c
		n++
	}
	return out[:n]
}

// bands is a ground that is shaded between pairs of X.
type bands [][2]float64

// Plot implements plot.Plotter.
func (b bands) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	for _, s := range b {
		from, to := x(s[0]), x(s[1])
		to = max(to, from+0.7) // a short cut is seen as well
		c.FillPolygon(shade, []vg.Point{{X: from, Y: c.Min.Y}, {X: to, Y: c.Min.Y}, {X: to, Y: c.Max.Y}, {X: from, Y: c.Max.Y}})
	}
}

// bars draws one or two values for each device.
func bars(r *simulations.Result, title, note, unit string, of func(simulations.DeviceResult) (float64, float64), first, second string) chart {
	p := newPlot(unit)
	devices, more := busiest(r.Devices)
	if more > 0 {
		note += fmt.Sprintf(" The %d devices with the most traffic of %d.", len(devices), len(r.Devices))
	}
	one, two := make(plotter.Values, len(devices)), make(plotter.Values, len(devices))
	names := make([]string, len(devices))
	for i, d := range devices {
		one[i], two[i] = of(d)
		names[i] = short(d.Name, 12)
	}
	width := min(14, 300/vg.Length(len(devices)))
	add := func(v plotter.Values, name string, c color.Color, offset vg.Length) error {
		b, err := plotter.NewBarChart(v, width/2)
		if err != nil {
			return err
		}
		b.Color, b.Offset, b.LineStyle.Width = c, offset, 0
		p.Add(b)
		if name != "" {
			p.Legend.Add(name, b)
		}
		return nil
	}
	err := error(nil)
	if second == "" {
		err = add(one, first, blue, 0)
	} else if err = add(one, first, blue, -width/4); err == nil {
		err = add(two, second, green, width/4)
	}
	if len(devices) <= 12 {
		p.NominalX(names...)
		p.X.Tick.Label.Rotation = math.Pi / 7
		p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = draw.XRight, draw.YCenter
	} else {
		p.HideX()
	}
	p.Y.Min = 0
	p.Y.Max *= 1.1
	if second != "" {
		p.Y.Max *= 1.2 // room for the legend
	}
	return chart{title: title, note: note, plot: p, err: err}
}

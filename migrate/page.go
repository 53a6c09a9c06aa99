package migrate

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"capf/internal/plain"
	"capf/legacy"
	"capf/runtime/capf"
)

//go:embed page.html.tmpl
var pageSource string

// mostOnPage is how many rows of a list that nobody signs one by one are printed; the rest is counted.
const mostOnPage = 500

var pageTemplate = template.Must(template.New("plan").Funcs(template.FuncMap{
	"line": pageLine, "place": pagePlace, "time": pageTime, "mode": modeInWords, "null": isNullString,
}).Parse(pageSource))

// page is what the template shows.
type page struct {
	*Plan
	By         string
	Obstacles  []string
	Undecided  int
	Kept       some[KeptLine]
	Findings   some[Finding]
	Anchors    []PlannedCertificate
	LSCs       some[PlannedCertificate]
	Untrusted  some[PlannedCertificate]
	CountNames []pageCount
}

type pageCount struct {
	Name  string
	Value int
}

// some is the beginning of a list, with the number of those that are left out.
type some[T any] struct {
	Rows []T
	All  int
	More int
}

func someOf[T any](rows []T) some[T] {
	count := min(len(rows), mostOnPage)
	return some[T]{rows[:count], len(rows), len(rows) - count}
}

// WritePage writes the plan as one page of HTML to print and sign, which needs nothing beside it: no script, no file,
// no line to anywhere. By is who made the plan. Like the plan it has no authentication string in it; digests of lines
// kept aside are left out, since a string could be found by them.
func (p *Plan) WritePage(w io.Writer, by string) error {
	out := page{Plan: p, By: by, Undecided: p.Open(), Obstacles: p.Obstacles(), Kept: someOf(p.Kept), Findings: someOf(p.Findings),
		Anchors: p.certificatesOf(capf.LegacyAnchor), LSCs: someOf(p.certificatesOf(capf.LegacyLSC)),
		Untrusted: someOf(p.certificatesOf(capf.LegacyStored))}
	c := p.Counts
	out.CountNames = []pageCount{{"phone records read", c.Records}, {"phones added", c.New}, {"phones changed", c.Updated},
		{"phones unchanged", c.Unchanged}, {"older records kept as history", c.History}, {"lines kept aside", c.KeptAside},
		{"conflicts", c.Conflicts}, {"trust anchors added", c.Anchors}, {"certificates stored, not trusted", c.Stored},
		{"LSCs of phones", c.LSCs}, {"operations that go on", c.Pending}}
	if err := pageTemplate.Execute(w, out); err != nil {
		return fmt.Errorf("write the plan as a page: %w", err)
	}
	return nil
}

func (p *Plan) certificatesOf(use capf.LegacyUse) []PlannedCertificate {
	var out []PlannedCertificate
	for _, one := range p.Certificates {
		if one.Use == use {
			out = append(out, one)
		}
	}
	return out
}

// Obstacles say in a few words each what keeps a run from going on; none where nothing does.
func (p *Plan) Obstacles() []string {
	var out []string
	add := func(count int, one, many string) {
		if count == 1 {
			out = append(out, "1 "+one)
		} else if count > 1 {
			out = append(out, fmt.Sprintf("%d %s", count, many))
		}
	}
	add(len(p.Stopping()), "thing is missing and not accepted", "things are missing and not accepted")
	add(p.Open(), "conflict is open", "conflicts are open")
	return out
}

func pageLine(text any) string { return plain.Line(fmt.Sprint(text)) }

// pagePlace is a line of a file; the file alone where there is no line.
func pagePlace(file string, line int) string {
	return legacy.Position{File: pageLine(file), Line: line}.String()
}

func pageTime(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }

// modeInWords is the name of a mode as the guide has it (B2).
func modeInWords(mode capf.AuthMode) string {
	return map[capf.AuthMode]string{
		capf.AuthByString: "By Authentication String", capf.AuthByNullString: "By Null String",
		capf.AuthByLSC: "By Existing Certificate (Precedence to LSC)", capf.AuthByMIC: "By Existing Certificate (Precedence to MIC)",
	}[mode]
}

func isNullString(mode capf.AuthMode) bool { return mode == capf.AuthByNullString }

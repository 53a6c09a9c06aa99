package main

import (
	"os"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows how far long work is: a bar on a terminal, a line now and then without one.
type progress struct {
	app  *app
	name string
	bars *mpb.Progress // nil unless on a terminal
	bar  *mpb.Bar
	next int // tenths that were told
}

func (a *app) newProgress(name string) *progress {
	p := &progress{app: a, name: name, next: 1}
	if isTerminal(a.stderr) {
		p.bars = mpb.New(mpb.WithOutput(os.Stderr))
	}
	return p
}

// set tells how much of how much is done.
func (p *progress) set(done, total int) {
	if p.bars != nil {
		if p.bar == nil {
			p.bar = p.bars.AddBar(int64(total), mpb.PrependDecorators(decor.Name(p.name+" "), decor.CountersNoUnit("%d / %d")),
				mpb.AppendDecorators(decor.Percentage()))
		}
		p.bar.SetCurrent(int64(done))
		return
	}
	// A line for each tenth, and none for what is done at once.
	const worthTelling = 10_000
	if total >= worthTelling && done*10 >= p.next*total {
		p.app.say("%d of %d %s", done, total, p.name)
		p.next = done*10/total + 1
	}
}

// done ends the bar, whether it came to its end or not.
func (p *progress) done() {
	if p.bar != nil {
		p.bar.Abort(false)
		p.bars.Wait()
	}
}

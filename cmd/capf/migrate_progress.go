package main

import (
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"capf/migrate"
)

// phases shows which phase of a migration is going on and how far it is: a bar for each on a terminal, a line now and
// then without one.
type phases struct {
	app   *app
	phase migrate.Phase
	bars  *mpb.Progress // nil unless on a terminal
	bar   *mpb.Bar
	told  time.Time
}

// tellEvery is how long nothing is said between two lines, where nobody sees a bar.
const tellEvery = 2 * time.Second

func (a *app) newPhases() *phases {
	p := &phases{app: a, told: time.Now()}
	if isTerminal(a.stderr) {
		p.bars = mpb.New(mpb.WithOutput(a.stderr))
	}
	return p
}

// set tells how much of how much of a phase is done; total 0: nobody knows of how much.
func (p *phases) set(phase migrate.Phase, done, total int) {
	if phase != p.phase {
		p.begin(phase, total)
	}
	switch {
	case p.bar != nil:
		p.bar.SetCurrent(int64(done))
	case p.bars == nil && time.Since(p.told) >= tellEvery:
		p.tell(done, total)
	}
}

func (p *phases) begin(phase migrate.Phase, total int) {
	p.end()
	p.phase = phase
	if p.bars == nil {
		return
	}
	if total == 0 {
		p.bar = p.bars.New(0, mpb.SpinnerStyle(), mpb.PrependDecorators(decor.Name(string(phase)+" "), decor.CurrentNoUnit("%d")))
		return
	}
	p.bar = p.bars.AddBar(int64(total), mpb.PrependDecorators(decor.Name(string(phase)+" "), decor.CountersNoUnit("%d / %d")),
		mpb.AppendDecorators(decor.Percentage()))
}

func (p *phases) tell(done, total int) {
	p.told = time.Now()
	if total > 1 {
		p.app.say("%s: %d of %d", p.phase, done, total)
	} else if total == 0 {
		p.app.say("%s: %d", p.phase, done)
	} else {
		p.app.say("%s", p.phase)
	}
}

// end leaves the bar of a phase as it is.
func (p *phases) end() {
	if p.bar != nil {
		p.bar.Abort(false)
		p.bar.Wait()
		p.bar = nil
	}
}

// done ends the last bar, whether it came to its end or not.
func (p *phases) done() {
	p.end()
	if p.bars != nil {
		p.bars.Wait()
	}
}

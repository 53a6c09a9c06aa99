package main

import (
	"fmt"
	"os"
	"slices"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"capf/ctl/distribute"
	"capf/internal/plain"
)

// How far long work is: of one thing that is counted, and of many nodes at a time.

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

// nodeProgress shows how far each node is: a bar a node on a terminal, a line as each ends without one. It is told
// one thing at a time.
type nodeProgress struct {
	app   *app
	all   int
	ended int
	bars  *mpb.Progress // nil unless on a terminal
	of    map[string]*nodeBar
}

type nodeBar struct {
	bar  *mpb.Bar
	word atomic.Value // a string; the bars are drawn meanwhile
}

func (a *app) newNodeProgress(all int) *nodeProgress {
	p := &nodeProgress{app: a, all: all, of: map[string]*nodeBar{}}
	if isTerminal(a.stderr) {
		p.bars = mpb.New(mpb.WithOutput(os.Stderr))
	}
	return p
}

// step is told that a node begins a step.
func (p *nodeProgress) step(node string, step distribute.Step) {
	if p.bars == nil {
		return
	}
	p.show(node, string(step), slices.Index(distribute.Steps, step))
}

// ends is told what became of a node.
func (p *nodeProgress) ends(result distribute.Result) {
	p.ended++
	if p.bars == nil {
		p.app.say("%s: %s (%d of %d)", plain.Line(result.Node), result.Outcome, p.ended, p.all)
		return
	}
	p.show(result.Node, string(result.Outcome), len(distribute.Steps))
}

func (p *nodeProgress) show(node, word string, done int) {
	one := p.of[node]
	if one == nil {
		one = &nodeBar{}
		one.word.Store(word)
		one.bar = p.bars.AddBar(int64(len(distribute.Steps)), mpb.PrependDecorators(decor.Name(plain.Line(node)+" ", decor.WCSyncSpaceR)),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return fmt.Sprint(one.word.Load()) })))
		p.of[node] = one
	}
	one.word.Store(word)
	one.bar.SetCurrent(int64(done))
}

// done ends the bars.
func (p *nodeProgress) done() {
	if p.bars == nil {
		return
	}
	for _, one := range p.of {
		one.bar.Abort(false)
	}
	p.bars.Wait()
}

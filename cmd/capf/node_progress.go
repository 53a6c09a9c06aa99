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

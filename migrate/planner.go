package migrate

import (
	"context"
	"maps"
	"slices"
	"strings"

	"capf/legacy/source"
	"capf/runtime/capf"
)

// NewPlan reads all sources and says what Run would do with them. A nil store stands for one that is not there yet.
// Nothing is changed. Its error lists everything that cannot be read; conflicts are no error here.
func NewPlan(ctx context.Context, specs []source.Spec, options Options, store PlanStore) (_ *Plan, err error) {
	opened, err := openSources(specs, options)
	if err != nil {
		return nil, err
	}
	defer closing(opened, &err)
	if store == nil {
		store = emptyStore{}
	}
	planner := &planner{sources: opened, store: store}
	if err := planner.know(ctx); err != nil {
		return nil, err
	}
	if err := planner.decide(ctx); err != nil {
		return nil, err
	}
	return planner.plan()
}

// closing closes the sources at the end of a function, whose error it may be.
func closing(opened *sources, err *error) {
	if failed := opened.close(); failed != nil && *err == nil {
		*err = failed
	}
}

// planner brings sources and store together.
type planner struct {
	*sources
	store PlanStore

	parameters capf.Parameters
	trusted    []capf.Anchor // of LSCs, in the store
	nodes      []capf.Node
	runs       []capf.MigrationRun // applied, the oldest first
	given      []string            // machines of this run and of those applied
	publisher  string
	key        string
	applied    *capf.MigrationRun // that did the same already

	reading *reading
	groups  []*group // by device
	*court
	settings []*setting
	orphans  *orphans
	lacking  []Missing
	build    builder
}

// know asks the store for what does not depend on the content of the sources.
func (p *planner) know(ctx context.Context) (err error) {
	if p.parameters, err = p.store.Parameters(ctx); err != nil {
		return err
	}
	if p.trusted, err = p.store.Anchors(ctx, capf.LSC); err != nil {
		return err
	}
	if p.nodes, err = p.store.Nodes(ctx); err != nil {
		return err
	}
	if p.runs, err = p.store.Runs(ctx); err != nil {
		return err
	}
	p.given = p.givenMachines(p.runs)
	p.publisher = p.sources.publisher(p.nodes)
	if err := p.checkPublisher(p.publisher); err != nil {
		return err
	}
	p.key = p.sources.key(p.publisher)
	p.applied, err = p.store.AppliedRun(ctx, p.key)
	return err
}

// choice is the administrator's, with the publisher by its name.
func (p *planner) choice() string { return p.resolved(p.options.Prefer) }

// resolved is a rule with the publisher by its name.
func (p *planner) resolved(prefer string) string {
	if prefer == PreferPublisher {
		return p.publisher
	}
	return prefer
}

// decide reads the sources and settles everything.
func (p *planner) decide(ctx context.Context) (err error) {
	if p.reading, err = p.sources.read(ctx); err != nil {
		return err
	}
	if p.court, err = p.reading.judge(p.trusted); err != nil {
		return err
	}
	open, err := p.leftOpen(ctx)
	if err != nil {
		return err
	}
	p.settings = p.reading.judgeSettings(p.parameters, p.choice(), open)
	after := p.parameters.Clone()
	if after == nil {
		after = capf.Parameters{}
	}
	maps.Copy(after, takenValues(p.settings))
	p.build = builder{now: p.options.Clock().UTC(), parameters: after, random: p.options.Random}
	p.groups = p.reading.groups()
	p.reading.noteTwice(p.groups)
	if err := p.consult(ctx); err != nil {
		return err
	}
	for _, g := range p.groups {
		settled := p.settle(g)
		g.outcome = &settled
	}
	if err := p.findDone(ctx); err != nil {
		return err
	}
	// What was applied already was checked then, and is no conflict any more.
	if p.applied == nil {
		if err := p.options.Decisions.check(p); err != nil {
			return err
		}
	}
	if err := p.findOrphans(ctx); err != nil {
		return err
	}
	p.lacking = p.missing()
	return nil
}

// settle decides about one phone: by what was decided about it, else by the rule.
func (p *planner) settle(g *group) outcome {
	decided, choice := strings.ToLower(p.options.Decisions.about(g.device)), p.choice()
	switch {
	case decided == PreferPublisher && p.publisher != "":
		choice = p.publisher
	case decided != "":
		choice = decided
	}
	out := g.settle(choice)
	if out.record == nil {
		return out
	}
	if out.refused = p.build.try(out.record); out.refused != nil && out.among == nil && decided == PreferStore && g.origin != nil {
		return out.keepStored()
	}
	return out
}

// consult asks the store what it knows about the phones of the sources.
func (p *planner) consult(ctx context.Context) error {
	err := p.store.Provenances(ctx, func(device string, provenance capf.Provenance) error {
		if g := p.group(device); g != nil {
			g.origin = newOrigin(provenance)
			g.recognise(g.origin.digest)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = p.store.KnownRecords(ctx, func(device, digest string) error {
		switch g := p.group(device); {
		case g == nil:
		case g.origin == nil:
			g.removed = true
		default:
			g.recognise(digest)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = p.store.Phones(ctx, capf.PhoneFilter{}, func(phone capf.Phone) error {
		if g := p.group(phone.Device); g != nil && g.origin != nil && g.needs(&phone) {
			g.phone = &phone
		}
		return nil
	})
	for _, g := range p.groups {
		g.forgetRemoved()
	}
	return err
}

// group finds that of a phone; nil where no record is of it.
func (p *planner) group(device string) *group {
	at, found := slices.BinarySearchFunc(p.groups, device, func(g *group, device string) int { return strings.Compare(g.device, device) })
	if !found {
		return nil
	}
	return p.groups[at]
}

// recognise marks the records that the store has already.
func (g *group) recognise(digest string) {
	for _, r := range g.records {
		r.known = r.known || r.hexDigest() == digest
	}
}

// needs tells whether the store's phone plays a part: where a record is new to the store, or one that it knows reads
// otherwise now.
func (g *group) needs(phone *capf.Phone) bool {
	return slices.ContainsFunc(g.records, func(r *record) bool {
		return !r.known || r.hexDigest() == g.origin.digest && len(differences(r, phone)) > 0
	})
}

// forgetRemoved deals with a phone that was removed while the store was asked: its records begin anew.
func (g *group) forgetRemoved() {
	if g.origin == nil || g.phone != nil || !slices.ContainsFunc(g.records, func(r *record) bool { return !r.known }) {
		return
	}
	g.origin = nil
	for _, r := range g.records {
		r.known = false
	}
}

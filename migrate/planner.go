package migrate

import (
	"context"
	"maps"
	"slices"

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
	publisher  string
	key        string
	applied    *capf.MigrationRun // that did the same already

	reading      *reading
	groups       []*group // by device
	outcomes     []outcome
	certificates []*judged
	settings     []*setting
	build        builder
}

// know asks the store for what does not depend on the content of the sources.
func (p *planner) know(ctx context.Context) (err error) {
	if p.parameters, err = p.store.Parameters(ctx); err != nil {
		return err
	}
	if p.trusted, err = p.store.Anchors(ctx, capf.LSC); err != nil {
		return err
	}
	nodes, err := p.store.Nodes(ctx)
	if err != nil {
		return err
	}
	p.publisher = p.sources.publisher(nodes)
	if err := p.checkPublisher(p.publisher); err != nil {
		return err
	}
	p.key = p.sources.key(p.publisher)
	p.applied, err = p.store.AppliedRun(ctx, p.key)
	return err
}

// choice is the administrator's, with the publisher by its name.
func (p *planner) choice() string {
	if p.options.Prefer == PreferPublisher {
		return p.publisher
	}
	return p.options.Prefer
}

// decide reads the sources and settles everything.
func (p *planner) decide(ctx context.Context) (err error) {
	if p.reading, err = p.sources.read(ctx); err != nil {
		return err
	}
	if p.certificates, err = p.reading.judge(p.trusted); err != nil {
		return err
	}
	p.settings = p.reading.judgeSettings(p.parameters, p.choice())
	after := p.parameters.Clone()
	if after == nil {
		after = capf.Parameters{}
	}
	maps.Copy(after, taken(p.settings))
	p.build = builder{now: p.options.Clock().UTC(), parameters: after, random: p.options.Random}
	p.groups = p.reading.groups()
	if err := p.consult(ctx); err != nil {
		return err
	}
	for _, g := range p.groups {
		out := g.settle(p.choice())
		if out.record != nil {
			out.refused = p.build.try(out.record)
		}
		p.outcomes = append(p.outcomes, out)
	}
	return nil
}

// groups gathers the records of all machines by their phones.
func (r *reading) groups() []*group {
	by := map[string]*group{}
	for _, m := range r.machines {
		for i := range m.records {
			one := &m.records[i]
			if by[one.device] == nil {
				by[one.device] = &group{device: one.device}
			}
			by[one.device].records = append(by[one.device].records, one)
		}
	}
	out := make([]*group, 0, len(by))
	for _, device := range slices.Sorted(maps.Keys(by)) {
		out = append(out, by[device])
	}
	return out
}

// consult asks the store what it knows about the phones of the sources.
func (p *planner) consult(ctx context.Context) error {
	by := map[string]*group{}
	for _, g := range p.groups {
		by[g.device] = g
	}
	err := p.store.Provenances(ctx, func(device string, provenance capf.Provenance) error {
		if g := by[device]; g != nil {
			g.origin = newOrigin(provenance)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, g := range p.groups {
		if err := g.recognise(ctx, p.store); err != nil {
			return err
		}
	}
	err = p.store.Phones(ctx, capf.PhoneFilter{}, func(phone capf.Phone) error {
		if g := by[phone.Device]; g != nil && g.origin != nil && g.needs(&phone) {
			g.phone = &phone
		}
		return nil
	})
	for _, g := range p.groups {
		g.forgetRemoved()
	}
	return err
}

// recognise marks the records that the store has already.
func (g *group) recognise(ctx context.Context, store PhoneStore) (err error) {
	if g.origin == nil {
		return nil
	}
	for _, r := range g.records {
		if r.known = r.hexDigest() == g.origin.digest; r.known {
			continue
		}
		if r.known, err = store.HasRecord(ctx, g.device, r.hexDigest()); err != nil {
			return err
		}
	}
	return nil
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

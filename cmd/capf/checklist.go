package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"capf/ctl"
	"capf/ctl/distribute"
	"capf/internal/plain"
	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/checklist"
	"capf/runtime/daemon"
	"capf/runtime/store"
	"capf/runtime/store/sqlite"
	"capf/runtime/web"
)

// The checklist of the guide, and where its facts come from.

type checklistCommand struct {
	Devices []string `arg:"" optional:"" name:"device" help:"Phones: what has to be in order before a string is typed there."`
}

// Run holds the cluster against the checklist of the guide, or the phones against that for an authentication
// string. While something is to do the exit status is 3.
func (c *checklistCommand) Run(app *app) error {
	devices, err := parseDevices(c.Devices)
	if err != nil {
		return err
	}
	gathering := &gathering{app: app, facts: checklist.Facts{Data: app.data}}
	stories, err := gathering.all(devices)
	if err != nil {
		return err
	}
	if len(devices) == 0 {
		return printSteps(app, checklist.Cluster(&gathering.facts))
	}
	return printDevices(app, &gathering.facts, stories)
}

func printSteps(app *app, steps []checklist.Step) error {
	list := app.list("step", "what", "state", "evidence", "next")
	for _, one := range steps {
		list.add(one.Number, one.What, one.State, one.Evidence, app.onThisData(one.Next))
	}
	if err := list.close(); err != nil {
		return err
	}
	return stillOpen(checklist.Open(steps), len(steps))
}

func printDevices(app *app, facts *checklist.Facts, stories []*capf.Story) error {
	list := app.list("device", "step", "what", "state", "evidence", "next")
	open, all := 0, 0
	for _, story := range stories {
		steps := checklist.Device(facts, story)
		open, all = open+checklist.Open(steps), all+len(steps)
		for _, one := range steps {
			list.add(story.Phone.Device, one.Number, one.What, one.State, one.Evidence, app.onThisData(one.Next))
		}
	}
	if err := list.close(); err != nil {
		return err
	}
	return stillOpen(open, all)
}

// onThisData has the commands in a text be those that work on this data directory, as they are pasted into a shell.
func (a *app) onThisData(text string) string {
	return strings.ReplaceAll(text, "`capf ", "`"+a.commandLine()+" ")
}

func stillOpen(open, all int) error {
	if open == 0 {
		return nil
	}
	return &capf.Error{Code: capf.CodePart, Message: fmt.Sprintf("%d of %s %s to do", open, plain.Counted(all, "step"), isOrAre(open)), Hint: "the column `next` says what"}
}

// gathering collects the facts of a checklist. What cannot be read is a fact too, where the list has a place for
// it.
type gathering struct {
	app       *app
	facts     checklist.Facts
	authority *ca.Authority // nil for none
	next      *ca.Authority // nil for none
	latest    *capf.CTLVersion
}

// all gathers everything, and the stories of the devices.
func (g *gathering) all(devices []string) (stories []*capf.Story, err error) {
	g.facts.At.Now = time.Now().UTC().Truncate(time.Second)
	g.identity()
	g.local()
	if err := g.service(); err != nil {
		return nil, err
	}
	s, err := g.app.store()
	if capf.HasCode(err, capf.CodeNotActivated) && len(devices) == 0 {
		return nil, nil // nothing is there yet, and that is what the list says
	}
	if err != nil {
		return nil, err
	}
	defer closeInto(&err, s)
	for _, step := range []func(*sqlite.Store) error{g.cluster, g.list, g.servers, g.migration, g.phones} {
		if err := step(s); err != nil {
			return nil, err
		}
	}
	for _, device := range devices {
		story, err := readStory(g.app, s, device)
		if err != nil {
			return nil, err
		}
		stories = append(stories, story)
	}
	return stories, nil
}

func (g *gathering) identity() {
	authority, err := g.app.authority()
	if err != nil && !capf.HasCode(err, capf.CodeNotActivated) {
		g.facts.IdentityProblem = err.Error()
	}
	if err != nil {
		return
	}
	g.authority, g.facts.Identity = authority, authorityFact(authority)
	if next, err := ca.Next(g.app.data, ca.System()); err == nil {
		g.next, g.facts.Next = next, authorityFact(next)
	} else if !capf.HasCode(err, capf.CodeNotFound) {
		g.facts.IdentityProblem = err.Error()
	}
}

func authorityFact(one *ca.Authority) *checklist.Authority {
	return &checklist.Authority{Name: one.Name(), Serial: capf.FormatSerial(one.Certificate.SerialNumber), NotAfter: one.Certificate.NotAfter}
}

// local finds the addresses of this machine; without them the publisher may be another one.
func (g *gathering) local() {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return
	}
	for _, one := range addresses {
		if prefix, err := netip.ParsePrefix(one.String()); err == nil {
			g.facts.Local = append(g.facts.Local, prefix.Addr())
		}
	}
}

// service asks the lock whether one runs, and the socket whether it answers.
func (g *gathering) service() error {
	living, err := store.LivingInstance(g.app.data)
	if err != nil || living == "" {
		return err
	}
	g.facts.At.Living, g.facts.Service.Running = living, true
	var sessions []capf.LiveSession
	if _, err := daemon.Ask(g.app.ctx, g.app.data, web.PathSessions, &sessions); err != nil {
		g.facts.Service.Problem = err.Error()
	}
	g.facts.Service.Sessions = len(sessions)
	return nil
}

func (g *gathering) cluster(s *sqlite.Store) (err error) {
	if g.facts.Nodes, err = s.Nodes(g.app.ctx); err != nil {
		return err
	}
	if g.facts.Deliveries, err = s.Deliveries(g.app.ctx); err != nil {
		return err
	}
	if g.facts.Restarts, err = s.Restarts(g.app.ctx); err != nil {
		return err
	}
	if g.facts.Parameters, err = s.Parameters(g.app.ctx); err != nil {
		return err
	}
	tokens, err := s.Tokens(g.app.ctx)
	for _, one := range tokens {
		g.facts.Tokens = append(g.facts.Tokens, checklist.Token{Name: one.Name, Problem: tokenProblem(g.app, one)})
	}
	return err
}

func tokenProblem(app *app, token capf.Token) string {
	if err := tokenAtHand(app, token); err != nil {
		return err.Error()
	}
	return ""
}

func (g *gathering) list(s *sqlite.Store) error {
	latest, err := s.LatestCTL(g.app.ctx)
	if capf.HasCode(err, capf.CodeNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	g.latest = &latest
	fact := &checklist.List{Version: latest.Version, SignedAt: latest.SignedAt, Signer: latest.Signer}
	if err := g.readInto(fact); err != nil {
		fact.Problem = err.Error()
	}
	g.facts.List = fact
	return nil
}

// readInto finds out what the newest list holds.
func (g *gathering) readInto(fact *checklist.List) error {
	verification, err := ctl.Verify(g.latest.File)
	if err != nil {
		return err
	}
	own, err := verification.File.Certificates(ctl.RoleCAPF)
	if err != nil {
		return err
	}
	holds := func(one *ca.Authority) bool { return one != nil && slices.ContainsFunc(own, one.Certificate.Equal) }
	fact.HoldsIdentity, fact.HoldsNext = holds(g.authority), holds(g.next)
	listed, err := verification.File.Certificates(ctl.RoleCCMTFTP, ctl.RoleCCM, ctl.RoleTFTP)
	if err != nil {
		return err
	}
	for _, node := range g.facts.Nodes {
		certificate := parseStored(node.Certificate)
		if certificate != nil && !slices.ContainsFunc(listed, certificate.Equal) {
			fact.Lacks = append(fact.Lacks, node.Name)
		}
	}
	for _, one := range ctl.Remind(verification.File, nil, g.facts.At.Now) {
		fact.Ending = append(fact.Ending, one.Text)
	}
	return nil
}

// readWithin is how long a server has to show what it holds.
const readWithin = 10 * time.Second

// servers reads what they hold, where there is something that they should hold.
func (g *gathering) servers(s *sqlite.Store) error {
	if len(g.facts.Nodes) == 0 || g.latest == nil || g.authority == nil || !g.facts.List.HoldsIdentity {
		return nil
	}
	payload, _, err := payloadOf(g.app, s)
	if err != nil {
		g.facts.List.Problem = err.Error()
		return nil
	}
	versions, err := s.CTLVersions(g.app.ctx)
	if err != nil {
		return err
	}
	options, err := g.app.reach()
	if err != nil {
		return err
	}
	options.Timeout = readWithin
	statuses := distribute.Status(g.app.ctx, daemon.Receivers(g.facts.Nodes), payload, daemon.KnownVersions(versions), options)
	for _, one := range statuses {
		g.facts.Servers = append(g.facts.Servers, serverFact(one))
	}
	if g.facts.Advice, err = daemon.Advice(g.app.ctx, s, *g.latest, statuses); err != nil {
		return err
	}
	return g.app.ctx.Err()
}

// serverFact tells the lists from the certificates. Of the lists the first that is not as it should be counts,
// of the certificates the worst.
func serverFact(status distribute.NodeStatus) checklist.Server {
	fact := checklist.Server{Node: status.Node, List: string(distribute.StateUnreachable), Certificates: string(distribute.StateEqual), Problem: status.Error}
	listed := false
	for _, file := range status.Files {
		if distribute.IsList(file.Path) {
			if !listed || fact.List == string(distribute.StateEqual) {
				fact.List, fact.Version = string(file.State), file.Version
			}
			listed = true
		} else if file.State != distribute.StateEqual {
			fact.Certificates = string(file.State)
		}
	}
	return fact
}

func (g *gathering) migration(s *sqlite.Store) (err error) {
	if g.facts.Runs, err = s.Runs(g.app.ctx); err != nil {
		return err
	}
	g.facts.Unfinished, err = s.UnfinishedRuns(g.app.ctx)
	return err
}

func (g *gathering) phones(s *sqlite.Store) (err error) {
	g.facts.Phones, err = s.PhoneGroups(g.app.ctx, g.facts.At)
	return err
}

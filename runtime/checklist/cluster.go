package checklist

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"capf/internal/plain"
	"capf/runtime/capf"
)

// Cluster gives table 4-1 for the whole cluster.
func Cluster(f *Facts) []Step {
	steps := []Step{
		f.phonesHold().step("1.1", "phones: which have an LSC, which a MIC"),
		f.migrated().step("1.2", "the data of CAPF 1.0 are copied and in the store"),
		f.looked().step("1.3", "what was kept aside or conflicted is looked at"),
		f.utility().step("2", "its data are confirmed in the store, so that the CAPF utility can be removed"),
		f.identity().step("3.1", "CAPF is active: it has its key and certificate"),
		f.service().step("3.2", "the CAPF service runs"),
		f.onPublisher().step("3.3", "it runs on the publisher"),
	}
	if f.Next != nil {
		steps = append(steps, f.succession().step("3.4", "the next CAPF certificate is put in force"))
	}
	return append(steps,
		f.tokens().step("4.1", "there are two security tokens"),
		f.nodes().step("4.2", "the servers of the cluster are known"),
		f.lasting().step("4.3", "the CAPF certificate is in the trust list"),
		f.servers().step("4.4", "every server holds the list and the CAPF certificate"),
		f.restarted().step("4.5", "servers restarted and phones reset after the list"),
		f.parameters().step("5", "service parameters"),
		f.operations().step("6", "operations are set: install, upgrade, delete, troubleshoot"),
		f.report().step("7", "CAPF report"),
		f.stringsEntered().step("8", "authentication strings are entered"),
		f.succeeded().step("9", "the operations succeeded"),
	)
}

func (f *Facts) migrated() finding {
	switch {
	case f.Unfinished > 0:
		return toDo("a migration run is under way or was broken off: nothing of it is visible", "run the same `capf migrate run` again")
	case len(f.standing()) == 0:
		return unknown(f.withoutRun(), "if CAPF 1.0 ran on any server: copy its files before anything is upgraded, then `capf migrate plan SOURCE…`")
	}
	var runs []string
	for _, run := range f.standing() {
		runs = append(runs, fmt.Sprintf("run %d of %s took %s from %s", run.ID, capf.FormatTime(run.AppliedAt), plain.Counted(run.Counts.New+run.Counts.Updated, "phone"), machines(run)))
	}
	return done(strings.Join(runs, "; "))
}

// standing are the runs that were not rolled back.
func (f *Facts) standing() (runs []capf.MigrationRun) {
	for _, run := range f.Runs {
		if run.RolledBackAt.IsZero() {
			runs = append(runs, run)
		}
	}
	return runs
}

// withoutRun says why no run stands.
func (f *Facts) withoutRun() string {
	if len(f.Runs) == 0 {
		return "no migration was run"
	}
	last := f.Runs[len(f.Runs)-1]
	return fmt.Sprintf("every migration was rolled back, run %d at %s", last.ID, capf.FormatTime(last.RolledBackAt))
}

func machines(run capf.MigrationRun) string {
	names := make([]string, len(run.Sources))
	for i, source := range run.Sources {
		names[i] = source.Machine
	}
	return strings.Join(names, ", ")
}

// looked never says that a person has looked: that is nowhere on record.
func (f *Facts) looked() finding {
	var found, next []string
	for _, run := range f.standing() {
		if open := leftBy(run); len(open) > 0 {
			found = append(found, fmt.Sprintf("run %d: %s", run.ID, strings.Join(open, ", ")))
			next = append(next, inspecting(run))
		}
	}
	switch {
	case len(f.standing()) == 0:
		return unknown(f.withoutRun(), "")
	case len(found) == 0:
		return done("nothing was kept aside, nothing conflicted, nothing was missing")
	}
	return unknown(strings.Join(found, "; "), "see them, for as long as there are copies: "+strings.Join(next, ", "))
}

// inspecting is the command that shows what a run has read.
func inspecting(run capf.MigrationRun) string {
	words := []string{"capf migrate inspect"}
	if run.Dialect != "" {
		words = append(words, "--dialect", capf.ShellWord(run.Dialect))
	}
	for _, source := range run.Sources {
		words = append(words, capf.ShellWord(source.Machine+"="+source.Path))
	}
	return "`" + strings.Join(words, " ") + "`"
}

// leftBy says what of a run a person should look at.
func leftBy(run capf.MigrationRun) (open []string) {
	if kept := run.Counts.KeptAside; kept > 0 {
		open = append(open, plain.Counted(kept, "line")+" kept aside")
	}
	if conflicts := run.Counts.Conflicts; conflicts > 0 {
		open = append(open, plain.Counted(conflicts, "conflict")+" decided")
	}
	if missing := len(run.Missing); missing > 0 {
		open = append(open, fmt.Sprintf("%d missing and accepted", missing))
	}
	return open
}

// utility holds that the CAPF utility is removed only after its data are confirmed. Whether it is still installed
// somewhere is not to be known from here.
func (f *Facts) utility() finding {
	switch {
	case f.Unfinished > 0:
		return toDo("not before the migration is whole", "finish it: run the same `capf migrate run` again")
	case len(f.standing()) == 0:
		return unknown("nothing of CAPF 1.0 is in the store", "if CAPF 1.0 ever ran here, leave it alone until its data are migrated")
	}
	var confirmed, open, next []string
	for _, run := range f.standing() {
		if problem := f.unconfirmed(run); problem != "" {
			open = append(open, fmt.Sprintf("run %d (%s) %s", run.ID, machines(run), problem))
			next = append(next, fmt.Sprintf("`capf migrate verify %d`", run.ID))
		} else {
			confirmed = append(confirmed, fmt.Sprintf("run %d (%s) at %s by %s: %s", run.ID, machines(run), capf.FormatTime(run.Verified.At), run.Verified.By, run.Verified))
		}
	}
	if len(open) > 0 {
		return toDo(strings.Join(open, "; "), strings.Join(next, ", ")+"; when it finds no difference, uninstall the CAPF utility there")
	}
	return done("verified " + strings.Join(confirmed, "; "))
}

// unconfirmed says why nobody can rely on the data of a run being as its sources have them; empty: they are.
func (f *Facts) unconfirmed(run capf.MigrationRun) string {
	v := run.Verified
	switch {
	case v == nil:
		return "was never verified"
	case !v.OK():
		return fmt.Sprintf("was not confirmed at %s: %s", capf.FormatTime(v.At), v)
	case v.Changes != capf.RunChanges(f.Runs):
		return fmt.Sprintf("was confirmed at %s, before a run changed the store again", capf.FormatTime(v.At))
	}
	return ""
}

// soon is how long before its end a CAPF certificate should have a successor: phones take months to see it.
const soon = 180 * 24 * time.Hour

func (f *Facts) identity() finding {
	if f.IdentityProblem != "" {
		return toDo(f.IdentityProblem, "`capf restore` the last backup into a new directory, and take the file from there")
	}
	if f.Identity == nil {
		return toDo("there is no CAPF certificate in "+f.Data, "`capf init`")
	}
	evidence := fmt.Sprintf("%s, serial number %s, until %s", f.Identity.Name, f.Identity.Serial, capf.FormatTime(f.Identity.NotAfter))
	switch {
	case f.Identity.NotAfter.Before(f.At.Now):
		return toDo(evidence+": it has ended", renewal(f))
	case f.Identity.NotAfter.Before(f.At.Now.Add(soon)):
		return toDo(evidence+": it ends soon", renewal(f))
	}
	return done(evidence)
}

func renewal(f *Facts) string {
	if f.Next != nil {
		return "see step 3.4 of `capf checklist`"
	}
	return "`capf ca renew`"
}

func (f *Facts) service() finding {
	switch {
	case !f.Service.Running:
		return toDo("no service runs on "+f.Data, "`capf serve`")
	case f.Service.Problem != "":
		return unknown("a service runs, but could not be asked: "+f.Service.Problem, "see its log")
	}
	return done("it runs and answers, with " + plain.Counted(f.Service.Sessions, "session"))
}

func (f *Facts) publisher() *capf.Node {
	if i := slices.IndexFunc(f.Nodes, func(node capf.Node) bool { return node.Publisher }); i >= 0 {
		return &f.Nodes[i]
	}
	return nil
}

func (f *Facts) isPublisher() bool {
	node := f.publisher()
	return node != nil && slices.Contains(f.Local, node.Address)
}

func (f *Facts) onPublisher() finding {
	node := f.publisher()
	switch {
	case node == nil:
		return unknown("no server is known as the publisher", "see step 4.2 of `capf checklist`")
	case f.isPublisher():
		return done(fmt.Sprintf("this machine has the address %s of %s", node.Address, node.Name))
	}
	return unknown(fmt.Sprintf("this machine has not the address %s of %s", node.Address, node.Name),
		"phones call the publisher for CAPF: see that they reach this service there")
}

func (f *Facts) succession() finding {
	evidence := fmt.Sprintf("%s, serial number %s, is made and not in force", f.Next.Name, f.Next.Serial)
	switch {
	case f.List == nil || !f.List.HoldsNext:
		return toDo(evidence+"; no list holds it", "`capf ctl build`, then `capf ctl distribute`")
	case f.servers().state != Done:
		return toDo(evidence+"; not every server holds the list with it", f.bring())
	}
	return toDo(evidence+"; every server holds the list with it", "reset the phones, so that they load the list; then `capf ca activate`")
}

func (f *Facts) parameters() finding {
	var set []string
	for _, one := range capf.ParameterList {
		if value := f.Parameters.Get(one.Name); value != one.Default {
			set = append(set, one.Name+" "+value)
		}
	}
	issuer := f.Parameters.Get(capf.ParamIssuer)
	switch {
	case issuer != capf.IssuerCAPF && f.Parameters.Get(capf.ParamCAAddress) == "":
		return toDo(fmt.Sprintf("certificates are to be issued by %s, whose address is not set", issuer), "`capf parameter set "+capf.ParamCAAddress+" ADDRESS`")
	case len(set) == 0:
		return unknown("all have their defaults: whether those are right is for you to say", "`capf parameter list`")
	}
	return done(strings.Join(set, ", ") + "; the others have their defaults")
}

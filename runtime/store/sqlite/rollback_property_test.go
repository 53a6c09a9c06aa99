package sqlite

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

func seeds(t *testing.T) uint64 {
	t.Helper()
	if testing.Short() {
		return 10
	}
	return 60
}

// TestRollbackRestores: whatever the store has lived through, several runs on it, one after another, go back to the
// byte, each to what was before it.
func TestRollbackRestores(t *testing.T) {
	for seed := range seeds(t) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			l := newLived(t, seed)
			l.live(60)
			var before []map[string]string
			var runs []int64
			for range 3 {
				before = append(before, dump(t, l.Store))
				id, _ := l.run()
				runs = append(runs, id)
				l.now = l.now.Add(time.Hour)
			}
			for i := len(runs) - 1; i >= 0; i-- {
				l.checkTrial(runs[i])
				done, err := l.RollBackRun(t.Context(), runs[i], "undoer")
				if err != nil {
					t.Fatal(err)
				}
				if len(done.Kept) > 0 {
					t.Errorf("run %d: %v stay", runs[i], done.Kept)
				}
				sameDump(t, fmt.Sprintf("before run %d", runs[i]), dump(t, l.Store), before[i])
			}
			checkSound(t, l.Store)
		})
	}
}

func (l *lived) checkTrial(run int64) {
	l.t.Helper()
	before := dump(l.t, l.Store)
	if _, err := l.TryRollBack(l.t.Context(), run, "undoer"); err != nil {
		l.t.Fatal(err)
	}
	sameDump(l.t, "after a trial", dump(l.t, l.Store), before)
}

// TestRollbackKeeps: of what a run changed, those phones stay, as they are, that anything happened to since, and all
// others are as before the run.
func TestRollbackKeeps(t *testing.T) {
	for seed := range seeds(t) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			l := newLived(t, seed+1000)
			l.live(50)
			before := dump(t, l.Store)
			id, changed := l.run()
			afterRun := l.marks()
			l.now = l.now.Add(time.Minute)
			l.live(12)
			touched := l.touched(afterRun)
			since := dump(t, l.Store)
			done, err := l.RollBackRun(t.Context(), id, "undoer")
			if err != nil {
				t.Fatal(err)
			}
			checkKept(t, done.Kept, changed, touched, before, since)
			after := dump(t, l.Store)
			withoutWrong(before, after) // those that came since are counted, whatever is rolled back
			sameDump(t, "before the run", after, before, append(l.mentioned(done.Kept, touched), "anchors", "parameters")...)
			for _, device := range touched {
				if phoneLines(after[device]) != phoneLines(since[device]) {
					t.Errorf("of %s there is\n%snot\n%s", device, after[device], since[device])
				}
			}
			checkSound(t, l.Store)
		})
	}
}

// mark is what tells whether anything has happened to a phone: more than the rollback itself looks at.
type mark struct {
	changes, session int64
	there            bool
}

func (l *lived) marks() map[string]mark {
	l.t.Helper()
	out := map[string]mark{}
	rows, err := l.readPool.Query(`SELECT device, changes - iif((SELECT ending FROM operations o WHERE o.id = last_operation) = 'expired', 1, 0),
		coalesce(last_session, 0) + coalesce((SELECT session_at FROM operations o WHERE o.id = last_operation), 0) FROM phones`)
	if err != nil {
		l.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var device string
		one := mark{there: true}
		if err := rows.Scan(&device, &one.changes, &one.session); err != nil {
			l.t.Fatal(err)
		}
		out[device] = one
	}
	return out
}

// touched gives the phones that something has happened to, in order.
func (l *lived) touched(before map[string]mark) []string {
	now := l.marks()
	all := map[string]bool{}
	for device, one := range before {
		all[device] = now[device] != one
	}
	for device, one := range now {
		all[device] = before[device] != one
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(device string) bool { return !all[device] })
}

// checkKept sees that the phones that stay are those that the run changed and that were touched, but for those of which
// there was nothing before and is nothing now.
func checkKept(t *testing.T, kept []capf.RollbackKept, changed, touched []string, before, since map[string]string) {
	t.Helper()
	for _, device := range changed {
		stays := slices.ContainsFunc(kept, func(k capf.RollbackKept) bool { return k.Kind == capf.RollbackPhone && k.Name == device })
		if want := slices.Contains(touched, device) && phoneLines(before[device]+since[device]) != ""; stays != want {
			t.Errorf("%s stays: %t; touched: %t", device, stays, want)
		}
	}
	for _, one := range kept {
		if one.Kind == capf.RollbackPhone && !slices.Contains(changed, one.Name) {
			t.Errorf("%s stays, of which the run changed nothing", one.Name)
		}
		if one.Reason == "" {
			t.Errorf("%v has no reason", one)
		}
	}
}

// mentioned are the phones whose rows need not be as before: they were touched, or one of their certificates stays.
func (l *lived) mentioned(kept []capf.RollbackKept, touched []string) []string {
	l.t.Helper()
	out := slices.Clone(touched)
	for _, one := range kept {
		if one.Kind != capf.RollbackCertificate {
			continue
		}
		var device string
		if err := l.readPool.QueryRow(`SELECT device FROM certificates WHERE serial = ?1`, one.Name).Scan(&device); err != nil {
			l.t.Fatal(err)
		}
		out = append(out, device)
	}
	return out
}

// phoneLines leaves certificates out of a dump: those that a run found stay only where they were seen.
func phoneLines(text string) string { return without(text, "certificates ", "wrong_strings ") }

func withoutWrong(dumps ...map[string]string) {
	for _, one := range dumps {
		for device := range one {
			one[device] = without(one[device], "wrong_strings ")
		}
	}
}

func without(text string, tables ...string) string {
	out := ""
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(tables, func(table string) bool { return strings.HasPrefix(line, table) }) {
			out += line
		}
	}
	return out
}

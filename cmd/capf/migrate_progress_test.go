package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"capf/migrate"
)

// TestPhasesWithoutTerminal: a line now and then, which names the phase and how far it is.
func TestPhasesWithoutTerminal(t *testing.T) {
	for _, test := range []struct {
		phase       migrate.Phase
		done, total int
		want        string
	}{
		{migrate.PhaseReading, 4000, 0, "records read: 4000"},
		{migrate.PhaseRecords, 4000, 200_000, "records staged: 4000 of 200000"},
		{migrate.PhasePhones, 8000, 200_000, "phones staged: 8000 of 200000"},
		{migrate.PhaseApplying, 0, 1, "making visible"},
		{migrate.PhaseComparing, 4000, 4000, "records compared: 4000 of 4000"},
	} {
		var said bytes.Buffer
		p := (&app{stderr: &said}).newPhases()
		p.set(test.phase, test.done, test.total)
		if said.Len() > 0 {
			t.Errorf("%s is said at once: %q", test.phase, said.String())
		}
		p.told = p.told.Add(-tellEvery)
		p.set(test.phase, test.done, test.total)
		p.set(test.phase, test.done, test.total)
		p.done()
		if !strings.Contains(said.String(), test.want) || strings.Count(said.String(), "\n") != 1 {
			t.Errorf("said %q, want one line with %q", said.String(), test.want)
		}
		if time.Since(p.told) > tellEvery {
			t.Errorf("the next line after %q comes at once", said.String())
		}
	}
}

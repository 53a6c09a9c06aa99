package checklist

import (
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

// ready is a phone at which a string can be typed.
func ready(t *testing.T) *capf.Story {
	t.Helper()
	digits, err := capf.ParseAuthenticationString("31415926")
	if err != nil {
		t.Fatal(err)
	}
	last := &capf.OperationRecord{Operation: capf.OperationInstall, AuthMode: capf.AuthByString, CreatedAt: now.Add(-time.Hour), CompletesBy: now.AddDate(0, 0, 1)}
	return &capf.Story{Phone: capf.Phone{Device: "SEP001122334455", SecurityMode: capf.NonSecure, AuthMode: capf.AuthByString, AuthString: digits, Last: last}}
}

func TestDevice(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Facts, *capf.Story)
		number string
		state  State
		words  string
	}{
		{"list", func(*Facts, *capf.Story) {}, "1", Done, "CAPF record of CAPF-x"},
		{"list that comes to its end", func(f *Facts, _ *capf.Story) { f.List.Ending = []string{"sub ends soon"} }, "1", Done, "CAPF record of CAPF-x"},
		{"no list", func(f *Facts, _ *capf.Story) { f.List, f.Servers = nil, nil }, "1", ToDo, "capf ctl build"},
		{"folders", func(f *Facts, _ *capf.Story) { f.Servers[0].List = "old" }, "2", Done, "on 2 of 2 nodes"},
		{"not in a folder", func(f *Facts, _ *capf.Story) { f.Servers[0].Certificates = "missing" }, "2", ToDo, "capf ctl distribute"},
		{"no folders", func(f *Facts, _ *capf.Story) { f.Servers = nil }, "2", ToDo, "see steps"},
		{"no service", func(f *Facts, _ *capf.Story) { f.Service = Service{} }, "3", ToDo, "capf serve"},
		{"here", func(*Facts, *capf.Story) {}, "4", Done, "this machine, pub"},
		{"elsewhere", func(f *Facts, _ *capf.Story) { f.Local = nil }, "4", Unknown, "another machine"},
		{"silent", func(f *Facts, _ *capf.Story) { f.Local, f.Servers[0].List = nil, unreachable }, "4", Unknown, "cannot be read"},
		{"no publisher", func(f *Facts, _ *capf.Story) { f.Nodes = nil }, "4", Unknown, "capf node add"},
		{"never called", func(*Facts, *capf.Story) {}, "5", Unknown, "never called"},
		{"somebody called", func(_ *Facts, s *capf.Story) { s.Attempts = []capf.Attempt{{Address: "192.0.2.9", At: now}} }, "5", Unknown, "192.0.2.9"},
		{"had a session", func(_ *Facts, s *capf.Story) { s.Phone.LastSession = now }, "5", Done, "2026-03-01"},
		{"registered", func(*Facts, *capf.Story) {}, "6", Unknown, "CallManager"},
		{"encrypted", func(_ *Facts, s *capf.Story) { s.Phone.SecurityMode = capf.Encrypted }, "7", ToDo, "--security-mode non-secure"},
		{"pending", func(*Facts, *capf.Story) {}, "8", Done, "install until 2026-03-02T12:00:00Z"},
		{"in progress", func(_ *Facts, s *capf.Story) { s.Phone.Last.Serving = "here" }, "8", Done, "a session carries out"},
		{"late", func(f *Facts, _ *capf.Story) { f.At.Now = now.AddDate(0, 0, 3) }, "8", ToDo, "expired"},
		{"nothing set", func(_ *Facts, s *capf.Story) { s.Phone.Last = nil }, "8", ToDo, "--operation install"},
		{"another mode", func(_ *Facts, s *capf.Story) { s.Phone.Last.AuthMode = capf.AuthByNullString }, "8", ToDo, "goes by null-string"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, story := inOrder(), ready(t)
			test.change(f, story)
			steps := Device(f, story)
			got := find(t, steps, test.number)
			if got.State != test.state || !strings.Contains(got.Evidence+" | "+got.Next, test.words) {
				t.Errorf("want %s with %q, got %+v", test.state, test.words, got)
			}
			for _, one := range steps {
				if strings.Contains(one.Evidence+one.Next, "31415926") {
					t.Errorf("the string is shown: %+v", one)
				}
			}
		})
	}
}

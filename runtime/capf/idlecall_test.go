package capf_test

import (
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

// A call for which nothing was pending is told as one in the name of the phone, never as the phone's, and
// neither moves the address of the phone nor counts as its having connected.
func TestIdleCallsInTheStory(t *testing.T) {
	const said = "a call in the name of the phone came at 2026-03-01T12:05:00Z from 192.0.2.66 with TLS 1.2, when nothing was pending"
	call := capf.IdleCall{Device: storyDevice, Address: "192.0.2.66", TLS: "1.2", At: time.Date(2026, 3, 1, 12, 5, 0, 0, time.UTC)}
	before, after := call.At.Add(-time.Minute), call.At.Add(time.Minute)
	story := func(when time.Time, ending capf.Ending, result capf.Result) *capf.Story {
		return storyOf(capf.AuthByNullString, func(s *capf.Story, last *capf.OperationRecord) {
			s.Idle = &call
			if ending != "" {
				ended(ending, result, "")(s, last)
				last.EndedAt = when
			} else {
				last.CreatedAt, last.CompletesBy = when, when.Add(time.Hour)
			}
		})
	}
	called := story(after, "", 0)
	called.Phone.LastSession, called.Phone.LastAddress = before, "192.0.2.7"
	calledSince := story(after, "", 0)
	calledSince.Phone.LastSession, calledSince.Phone.LastAddress = after, "192.0.2.7"
	for name, test := range map[string]struct {
		story      *capf.Story
		told       bool
		text, step string
	}{
		"never asked":            {&capf.Story{Phone: capf.Phone{Device: storyDevice}, Idle: &call}, true, "no operation was ever set; a call", "--operation install"},
		"withdrawn":              {story(before, capf.EndingWithdrawn, 0), true, "was withdrawn", "--operation install"},
		"withdrawn since":        {story(after, capf.EndingWithdrawn, 0), false, "was withdrawn", "--operation install"},
		"success":                {story(before, capf.EndingSuccess, 0), true, "install succeeded", "unless the phone was to call again"},
		"success just then":      {story(call.At, capf.EndingSuccess, 0), true, "install succeeded", "unless the phone was to call again"},
		"success since":          {story(after, capf.EndingSuccess, 0), false, "install succeeded", "none"},
		"failed":                 {story(before, capf.EndingFailed, capf.ResultFailed), true, "install failed", "--operation install"},
		"failed since":           {story(after, capf.EndingFailed, capf.ResultFailed), false, "install failed", "--operation install"},
		"pending, never called":  {story(after, "", 0), true, "the phone has not called since the install was set at", "reset"},
		"pending, called before": {called, true, "before that, it called at 2026-03-01T12:04:00Z from 192.0.2.7; a call", "reset"},
		"pending, called since":  {calledSince, false, "before that, it called at", "reset"},
	} {
		got := test.story.Diagnose(capf.Moment{Now: after, Living: "x"})
		if strings.Contains(got.Text, said) != test.told || !strings.Contains(got.Text, test.text) || !strings.Contains(got.NextStep, test.step) {
			t.Errorf("%s: %+v", name, got)
		}
		if address := test.story.LastAddress(); address == call.Address {
			t.Errorf("%s: the phone's address is that of whoever used its name", name)
		}
	}
}

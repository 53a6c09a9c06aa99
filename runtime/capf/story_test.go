package capf_test

import (
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

// asked is when the operation of a story was set; noon is now.
var asked = noon.Add(-time.Hour)

const storyDevice = "SEP0011223344AA"

// storyOf gives a phone with an operation in a mode, as it was set.
func storyOf(mode capf.AuthMode, change func(*capf.Story, *capf.OperationRecord)) *capf.Story {
	last := &capf.OperationRecord{Ref: capf.OperationRef{ID: 7}, Device: storyDevice, Operation: capf.OperationInstall, AuthMode: mode,
		CreatedAt: asked, CreatedBy: "anna", CompletesBy: noon.Add(time.Hour)}
	story := &capf.Story{Phone: capf.Phone{Device: storyDevice, AuthMode: mode, Last: last}}
	if change != nil {
		change(story, last)
	}
	story.Operations = append([]capf.OperationRecord{*last}, story.Operations...)
	return story
}

func attempt(minutes int, result capf.Result, detail string) capf.Attempt {
	return capf.Attempt{Device: storyDevice, Address: "192.0.2.7", At: asked.Add(time.Duration(minutes) * time.Minute), Result: result, Detail: detail}
}

func ended(ending capf.Ending, result capf.Result, detail string) func(*capf.Story, *capf.OperationRecord) {
	return func(_ *capf.Story, last *capf.OperationRecord) {
		last.Ending, last.Result, last.Detail, last.EndedAt, last.EndedBy = ending, &result, detail, noon, "phone at 192.0.2.7"
	}
}

func withAttempts(attempts ...capf.Attempt) func(*capf.Story, *capf.OperationRecord) {
	return func(story *capf.Story, _ *capf.OperationRecord) { story.Attempts = attempts }
}

// Each state in which a phone can be has its reason and its next step.
func TestDiagnosis(t *testing.T) {
	failures := &capf.HandshakeFailures{Address: "192.0.2.7", Count: 3, First: asked, Last: noon, Kind: capf.HandshakeDistrusted, Reason: "bad certificate"}
	for name, test := range map[string]struct {
		story      *capf.Story
		living     string
		text, step []string
		missing    string
	}{
		"never asked": {story: &capf.Story{Phone: capf.Phone{Device: storyDevice}}, text: []string{"no operation was ever set"}, step: []string{"capf phone set " + storyDevice + " --operation install"}},
		"withdrawn": {story: storyOf(capf.AuthByString, func(_ *capf.Story, last *capf.OperationRecord) {
			last.Ending, last.EndedAt, last.EndedBy = capf.EndingWithdrawn, noon, "otto"
		}), text: []string{"nothing is pending", "install, was withdrawn", "by otto"}, step: []string{"--operation install"}},
		"success": {story: storyOf(capf.AuthByString, ended(capf.EndingSuccess, capf.ResultSuccess, "")), text: []string{"install succeeded at " + capf.FormatTime(noon)}, step: []string{"none"}},
		"ended by an older CAPF": {story: storyOf(capf.AuthByString, func(story *capf.Story, last *capf.OperationRecord) {
			ended(capf.EndingSuccess, capf.ResultSuccess, "at 2005-03-04T05:06:07 by the clock of publisher")(story, last)
			last.EndedAt = time.Time{}
		}), text: []string{"install succeeded (success, at 2005-03-04T05:06:07 by the clock of publisher)"}, step: []string{"none"}},
		"no LSC":      {story: storyOf(capf.AuthByString, ended(capf.EndingSuccess, capf.ResultFetchedNone, "")), text: []string{"fetched, no certificate"}, step: []string{"none"}},
		"failed":      {story: storyOf(capf.AuthByString, ended(capf.EndingFailed, capf.ResultFailed, "no key")), text: []string{"install failed", "no key"}, step: []string{"trace the phone", "--operation install"}},
		"string void": {story: storyOf(capf.AuthByString, ended(capf.EndingFailed, capf.ResultInvalidAuthString, "too many")), text: []string{"invalid authentication string, too many"}, step: []string{"`capf phone set " + storyDevice + " --operation install --auth-string generate`;"}},
		"LSC ended since": {story: storyOf(capf.AuthByLSC, func(story *capf.Story, last *capf.OperationRecord) {
			ended(capf.EndingSuccess, capf.ResultSuccess, "")(story, last)
			story.Phone.LSCKnown, story.Phone.LSC = capf.LSCInstalled, &capf.Certificate{NotAfter: noon.Add(-time.Second)}
		}), text: []string{"the LSC has ended since"}, step: []string{"another authentication mode"}},
		"expired, never called": {story: storyOf(capf.AuthByString, func(_ *capf.Story, last *capf.OperationRecord) { last.CompletesBy = noon.Add(-time.Second) }),
			text: []string{"install expired at", "the phone had not called for it"}, step: []string{"--operation install"}},
		"expired, called late": {story: storyOf(capf.AuthByString, func(story *capf.Story, last *capf.OperationRecord) {
			last.CompletesBy = noon.Add(-time.Second)
			story.Attempts = []capf.Attempt{attempt(59, capf.ResultTooLate, "")}
		}), text: []string{"after one call, the last one: too late from 192.0.2.7"}, step: []string{"--operation install"}},
		"in progress": {living: "here", story: storyOf(capf.AuthByString, func(_ *capf.Story, last *capf.OperationRecord) {
			last.Serving, last.Session = "here", &capf.OperationSession{Started: noon, Address: "192.0.2.7", TLS: "1.0"}
		}), text: []string{"a session carries out the install since", "from 192.0.2.7 with TLS 1.0"}, step: []string{"capf session list"}},
		"cut off": {living: "next", story: storyOf(capf.AuthByNullString, func(_ *capf.Story, last *capf.OperationRecord) {
			last.Serving, last.Session = "here", &capf.OperationSession{Started: noon, Address: "192.0.2.7", TLS: "1.0"}
		}), text: []string{"cut off with the service"}, step: []string{"capf phone reset"}},
		"never connected, by string":      {living: "x", story: storyOf(capf.AuthByString, nil), text: []string{"the phone has never connected"}, step: []string{"press Update"}},
		"never connected, by null string": {living: "x", story: storyOf(capf.AuthByNullString, nil), text: []string{"never connected"}, step: []string{"capf phone reset", "capfList"}},
		"no service":                      {story: storyOf(capf.AuthByNullString, nil), text: []string{"never connected"}, step: []string{"capf serve"}},
		"reset in vain": {living: "x", story: storyOf(capf.AuthByNullString, func(story *capf.Story, _ *capf.OperationRecord) {
			story.Reset = &capf.Reset{At: noon, By: "anna", Problem: "no route"}
		}), text: []string{"a reset was asked for at", "by anna and failed: no route"}, step: []string{"reset the phone"}},
		"not since": {living: "x", story: storyOf(capf.AuthByNullString, func(story *capf.Story, _ *capf.OperationRecord) {
			story.Phone.LastSession, story.Phone.LastAddress = asked.Add(-time.Hour), "192.0.2.9"
			story.Attempts = []capf.Attempt{attempt(-90, capf.ResultFailed, "long ago")}
		}), text: []string{"has not called since the install was set at " + capf.FormatTime(asked) + " by anna", "from 192.0.2.9"}, step: []string{"reset"}, missing: "long ago"},
		"wrong string": {living: "x", story: storyOf(capf.AuthByString, withAttempts(attempt(30, capf.ResultInvalidAuthString, "wrong authentication string"),
			attempt(20, capf.ResultInvalidAuthString, ""), attempt(-20, capf.ResultInvalidAuthString, ""))),
			text: []string{"a wrong authentication string was entered 2 times, last at " + capf.FormatTime(asked.Add(30*time.Minute)) + " from 192.0.2.7"}, step: []string{"capf report", "generate"}},
		"certificate not trusted": {living: "x", story: storyOf(capf.AuthByLSC, withAttempts(attempt(1, capf.ResultInvalidLSC, "issued by nobody known"))),
			text: []string{"the certificate of the phone was not accepted once", "invalid LSC, issued by nobody known"}, step: []string{"capf anchor list", "`capf phone set " + storyDevice + " --operation install --auth authentication-string`"}},
		"MIC not trusted": {living: "x", story: storyOf(capf.AuthByMIC, withAttempts(attempt(1, capf.ResultInvalidMIC, ""))), text: []string{"not accepted"}, step: []string{"--kind mic"}},
		"no certificate": {living: "x", story: storyOf(capf.AuthByMIC, withAttempts(attempt(1, capf.ResultInvalidCredentials, "the phone showed no certificate"))),
			text: []string{"the phone showed no certificate"}, step: []string{"one that the phone can fulfil"}},
		"line broken": {living: "x", story: storyOf(capf.AuthByString, func(story *capf.Story, last *capf.OperationRecord) {
			last.Session = &capf.OperationSession{Started: asked.Add(time.Minute)}
			story.Attempts = []capf.Attempt{attempt(2, capf.ResultCommunication, "cut")}
		}), text: []string{"ended inside the operation once"}, step: []string{"tries again after 30 s"}},
		"silent in key generation": {living: "x", story: storyOf(capf.AuthByString, withAttempts(attempt(40, capf.ResultTimedOut, ""))), text: []string{"timed out"}, step: []string{capf.ParamKeyGenerationTime}},
		"held back": {living: "x", story: storyOf(capf.AuthByNullString, func(story *capf.Story, _ *capf.OperationRecord) {
			story.Held = &capf.HeldCall{Address: "192.0.2.8", At: noon, Opens: noon.Add(10 * time.Hour)}
		}), text: []string{"called at " + capf.FormatTime(noon) + " from 192.0.2.8", "maintenance window"}, step: []string{capf.FormatTime(noon.Add(10 * time.Hour))}},
		"handshakes failed": {living: "x", story: storyOf(capf.AuthByNullString, func(story *capf.Story, _ *capf.OperationRecord) {
			story.Phone.LastSession, story.Phone.LastAddress, story.Handshakes = asked.Add(-time.Hour), "192.0.2.7", failures
		}), text: []string{"has not called since", "3 TLS handshakes failed from 192.0.2.7, the address it last used", "bad certificate", "may or may not have been this phone"}, step: []string{"capf ctl distribute"}},
		"handshakes failed long before": {living: "x", story: storyOf(capf.AuthByNullString, func(story *capf.Story, _ *capf.OperationRecord) {
			old := *failures
			old.Last = asked.Add(-time.Minute)
			story.Handshakes = &old
		}), text: []string{"never connected"}, step: []string{"reset the phone"}, missing: "handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.story.Diagnose(capf.Moment{Now: noon, Living: test.living})
			for _, want := range test.text {
				if !strings.Contains(got.Text, want) {
					t.Errorf("%q is missing in: %s", want, got.Text)
				}
			}
			for _, want := range test.step {
				if !strings.Contains(got.NextStep, want) {
					t.Errorf("%q is missing in the next step: %s", want, got.NextStep)
				}
			}
			if test.missing != "" && strings.Contains(got.Text, test.missing) {
				t.Errorf("%q is in: %s", test.missing, got.Text)
			}
		})
	}
}

// Every result and every kind of failed handshake has a next step.
func TestEveryCauseHasAStep(t *testing.T) {
	for _, kind := range capf.HandshakeFailureKinds {
		story := storyOf(capf.AuthByNullString, func(story *capf.Story, _ *capf.OperationRecord) {
			story.Handshakes = &capf.HandshakeFailures{Count: 1, Last: noon, Kind: kind}
		})
		if got := story.Diagnose(capf.Moment{Now: noon, Living: "x"}); got.NextStep == "" || !strings.Contains(got.Text, "a TLS handshake failed") {
			t.Errorf("%s: %+v", kind, got)
		}
	}
	for result := capf.Result(0); result <= capf.ResultTooLate; result++ {
		if got := storyOf(capf.AuthByString, ended(capf.EndingFailed, result, "")).Diagnose(capf.Moment{Now: noon}); got.NextStep == "" {
			t.Errorf("result %d: %+v", result, got)
		}
	}
}

func TestLastAddress(t *testing.T) {
	story := &capf.Story{}
	if story.LastAddress() != "" {
		t.Error("a phone that never called has an address")
	}
	story.Phone.LastSession, story.Phone.LastAddress = noon, "session"
	story.Attempts = []capf.Attempt{{At: noon.Add(-time.Second), Address: "older attempt"}}
	if got := story.LastAddress(); got != "session" {
		t.Error(got)
	}
	story.Attempts[0] = capf.Attempt{At: noon.Add(time.Second), Address: "attempt"}
	if got := story.LastAddress(); got != "attempt" {
		t.Error(got)
	}
	story.Held = &capf.HeldCall{At: noon.Add(time.Minute), Address: "held"}
	if got := story.LastAddress(); got != "held" {
		t.Error(got)
	}
}

func TestTraceSubjectsAndLevels(t *testing.T) {
	for text, want := range map[string]string{"all": "all", "service": "service", "00:11:22:33:44:aa": storyDevice, "CSFALICE": "CSFALICE"} {
		if got, err := capf.ParseTraceSubject(text); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	if _, err := capf.ParseTraceSubject("../x"); !capf.HasCode(err, capf.CodeInvalid) {
		t.Error(err)
	}
	var level capf.TraceLevel
	if err := level.UnmarshalText([]byte("loud")); !capf.HasCode(err, capf.CodeInvalid) {
		t.Error(err)
	}
	for _, one := range capf.TraceLevels {
		if err := level.UnmarshalText([]byte(one)); err != nil || level != one {
			t.Errorf("%s: %v", one, err)
		}
	}
}

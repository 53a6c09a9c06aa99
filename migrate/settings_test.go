package migrate

import (
	"maps"
	"strings"
	"testing"

	"capf/legacy/source"
	"capf/runtime/capf"
)

// settingFolders writes machines with a configuration each.
func settingFolders(t *testing.T, machines map[string]string) []source.Spec {
	t.Helper()
	files := map[string]map[string]string{}
	for name, lines := range machines {
		files[name] = map[string]string{"CAPF.cfg": lines}
	}
	return folders(t, files)
}

func TestSettings(t *testing.T) {
	tests := []struct {
		name     string
		machines map[string]string
		set      capf.Parameters // before
		prefer   string
		want     map[string]string // parameters after
		kept     int
		why      string // of a setting that is not taken
	}{
		{name: "one machine", machines: map[string]string{"a": "KeySize=2048\n"}, want: map[string]string{"key-size": "2048"}},
		{name: "the default", machines: map[string]string{"a": "KeySize=1024\n"}},
		{name: "all agree", machines: map[string]string{"a": "key size = 2048\n", "b": "KeySize=\"2048\"\n"}, want: map[string]string{"key-size": "2048"}},
		{name: "they differ", machines: map[string]string{"a": "KeySize=2048\n", "b": "KeySize=512\n"}, kept: 2, why: "the configurations differ"},
		{name: "one has the default", machines: map[string]string{"a": "KeySize=2048\n", "b": "KeySize=1024\n"}, kept: 1, why: "the configurations differ"},
		{name: "they differ, one is preferred", machines: map[string]string{"a": "KeySize=2048\n", "b": "KeySize=512\n"}, prefer: "B",
			want: map[string]string{"key-size": "512"}, kept: 1, why: "another source is preferred"},
		{name: "one has the default, another is preferred", machines: map[string]string{"a": "KeySize=1024\n", "b": "KeySize=512\n"}, prefer: "b",
			want: map[string]string{"key-size": "512"}, kept: 1, why: "another source is preferred"},
		{name: "they differ, the latest is no answer", machines: map[string]string{"a": "KeySize=2048\n", "b": "KeySize=512\n"}, prefer: "latest", kept: 2, why: "differ"},
		{name: "twice in one file", machines: map[string]string{"a": "KeySize=2048\nKeySize=512\n"}, prefer: "a", kept: 2, why: "differ"},
		{name: "set by a person", machines: map[string]string{"a": "KeySize=2048\n"}, set: capf.Parameters{"key-size": "512"},
			want: map[string]string{"key-size": "512"}, kept: 1, why: "is set to \"512\" here"},
		{name: "set by a person to the same", machines: map[string]string{"a": "KeySize=2048\n"}, set: capf.Parameters{"key-size": "2048"},
			want: map[string]string{"key-size": "2048"}},
		{name: "out of range", machines: map[string]string{"a": "CAPFPhonePort=80\n"}, kept: 1, why: "2000 to 9999"},
		{name: "one is invalid, one is not", machines: map[string]string{"a": "CAPFPhonePort=80\n", "b": "CAPFPhonePort=3805\n"}, kept: 2, why: "differ"},
		{name: "an issuer that we cannot be", machines: map[string]string{"a": "CertificateIssuer=Keon\n"}, kept: 1, why: "third-party CA"},
		{name: "a key of no meaning", machines: map[string]string{"a": "TraceLevel=3\n"}, kept: 1, why: "no parameter of ours"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := newMemoryStore()
			maps.Copy(store.parameters, test.set)
			specs := settingFolders(t, test.machines)
			plan := mustPlan(t, specs, preferring(test.prefer), store)
			report := mustRun(t, specs, preferring(test.prefer), store)
			if !maps.Equal(store.parameters, test.want) {
				t.Errorf("parameters %v, want %v", store.parameters, test.want)
			}
			if report.Counts.KeptAside != test.kept || plan.Counts.KeptAside != test.kept || len(store.applied[0].kept) != test.kept {
				t.Errorf("%d lines are kept aside, %d planned, want %d", report.Counts.KeptAside, plan.Counts.KeptAside, test.kept)
			}
			found := test.why == ""
			for _, s := range plan.Settings {
				found = found || s.Use == SettingNotTaken && strings.Contains(s.Why, test.why)
				if s.Use != SettingNotTaken && s.Why != "" {
					t.Errorf("%+v has a reason against it", s)
				}
			}
			if !found {
				t.Errorf("no setting is refused because of %q", test.why)
			}
			if v := mustVerify(t, store, 0); !v.OK() || v.KeptAside != test.kept {
				t.Errorf("verification %+v", v)
			}
		})
	}
}

// TestSettingsHoldForPhones: a phone without a key size gets that of the parameter as it is after the run.
func TestSettingsHoldForPhones(t *testing.T) {
	store := newMemoryStore()
	mustRun(t, folders(t, map[string]map[string]string{"a": {
		"CAPF.cfg":   "KeySize=2048\r\nCAPFOperationExpiresIn=3\r\n",
		"CAPF.phone": header + "\r\n" + device + ",Install,Pending,,By Null String,,,\r\n",
	}}), testOptions(), store)
	phone := store.phones[device]
	if phone.KeySize != capf.RSA2048 || phone.Last.KeySize != capf.RSA2048 {
		t.Errorf("key size %s, of the operation %s, want 2048", phone.KeySize, phone.Last.KeySize)
	}
	if got := phone.Last.CompletesBy; !got.Equal(testNow.AddDate(0, 0, 3)) {
		t.Errorf("completes by %s, want three days from now", got)
	}
}

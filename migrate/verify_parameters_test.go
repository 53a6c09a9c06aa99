package migrate

import (
	"os"
	"path/filepath"
	"testing"

	"capf/runtime/capf"
)

// TestVerifyParameters: a parameter that a run set is compared with the configuration and with what is in force.
func TestVerifyParameters(t *testing.T) {
	specs, store := settingFolders(t, map[string]string{"a": "KeySize=2048\nCAPFPhonePort=3999\n", "b": "CAPFPhonePort=3999\n"}), newMemoryStore()
	mustRun(t, specs, testOptions(), store)
	if v := mustVerify(t, store, 0); !v.OK() || v.Parameters != 2 {
		t.Fatalf("%d parameters, differences %v", v.Parameters, v.Differences)
	}
	store.parameters[capf.ParamPhonePort] = "3806"
	v := mustVerify(t, store, 0)
	checkDifferences(t, "in force", v.Differences, []string{`the parameter capf-phone-port is "3806", the run set it to "3999"`})
	store.parameters[capf.ParamPhonePort] = "3999"
	for _, spec := range specs {
		if err := os.WriteFile(filepath.Join(spec.Folder, "CAPF.cfg"), []byte("CAPFPhonePort=3998\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var found bool
	for _, one := range mustVerify(t, store, 0).Differences {
		found = found || one.What == `the run set the parameter capf-phone-port to "3999", the source has "3998"`
	}
	if !found {
		t.Error("another value in the sources is not found")
	}
}

// TestVerifyParameterElsewhere: where the source that had the value is gone, that of another says nothing.
func TestVerifyParameterElsewhere(t *testing.T) {
	specs, store := settingFolders(t, map[string]string{"a": "CAPFPhonePort=3999\n", "b": "CAPFPhonePort=3805\n"}), newMemoryStore()
	mustRun(t, specs, preferring("a"), store)
	for _, spec := range specs {
		if spec.Name == "a" {
			if err := os.RemoveAll(spec.Folder); err != nil {
				t.Fatal(err)
			}
		}
	}
	if v := mustVerify(t, store, 0); v.Parameters != 0 || len(v.Differences) != 0 {
		t.Errorf("%d parameters, differences %v", v.Parameters, v.Differences)
	}
}

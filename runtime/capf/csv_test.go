package capf_test

import (
	"encoding/csv"
	"strings"
	"testing"

	"capf/runtime/capf"
)

func TestReadBulk(t *testing.T) {
	changes, err := capf.ReadBulk(strings.NewReader("\xef\xbb\xbfdevice,operation,auth-mode,auth-string,key-size,completes-by,security-mode,description\r\n" +
		"00:11:22:33:44:aa,install,authentication-string,0042,2048,2026-05-01T00:00:00+02:00,non-secure,\"'=hall, 2nd\"\r\n" +
		"CSFALICE,,,,,,,\r\n" +
		"SEP0011223344AB,none,,generate,,,,\r\n"))
	if err != nil || len(changes) != 3 {
		t.Fatalf("%d changes, %v", len(changes), err)
	}
	first := changes[0]
	if first.Device != "SEP0011223344AA" || *first.Operation != capf.OperationInstall || first.AuthString.Reveal() != "0042" ||
		*first.KeySize != capf.RSA2048 || capf.FormatTime(*first.CompletesBy) != "2026-04-30T22:00:00Z" || *first.Description != "=hall, 2nd" {
		t.Errorf("first row: %+v", first)
	}
	if empty := changes[1]; empty.Operation != nil || empty.AuthMode != nil || empty.AuthString != nil || empty.Description != nil || empty.GenerateString {
		t.Errorf("an empty field does not leave the value alone: %+v", empty)
	}
	if !changes[2].GenerateString {
		t.Error("generate")
	}
}

func TestReadBulkNamesEveryBadRow(t *testing.T) {
	_, err := capf.ReadBulk(strings.NewReader("device,operation,auth-string\nSEP0011223344AA,instal,\n../x,install,\nSEP0011223344AB,install,12a456\n,install,\nSEP0011223344AC,install\nSEP0011223344AD,install,\nSEP0011223344ad,install,\n"))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"line 2: column operation", "line 3: column device", "line 4: column auth-string", "line 5: no device", "line 6: 2 fields under 3", "line 8: SEP0011223344AD stands in line 7"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "12a456") {
		t.Error("the error repeats an authentication string")
	}
}

func TestReadBulkRefusesHeaders(t *testing.T) {
	for _, text := range []string{"", "operation\nx\n", "device,auth_mode\n", "device,device\n", "device,lsc\n"} {
		if _, err := capf.ReadBulk(strings.NewReader(text)); !capf.HasCode(err, capf.CodeInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A report can be applied again: formulas come back as they were.
func TestReportAndBulkAgree(t *testing.T) {
	for _, description := range []string{"=1+1", "-x", "@sum", "+49", "'=quoted", "''+twice", "plain", "'plain", `with "quotes", and more`} {
		phone := newPhone()
		phone.Description = description
		var out strings.Builder
		report, err := capf.NewReportWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		if err := report.Write(&phone, capf.Moment{Now: noon}); err != nil {
			t.Fatal(err)
		}
		if err := report.Close(); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
		if err != nil || strings.ContainsAny(rows[1][1][:1], "=+-@") {
			t.Errorf("%q: a spreadsheet would run %q, %v", description, rows[1][1], err)
		}
		changes, err := capf.ReadBulk(strings.NewReader(out.String()))
		if err != nil || *changes[0].Description != description {
			t.Errorf("%q came back as %q, %v", description, *changes[0].Description, err)
		}
	}
}

func FuzzReadBulk(f *testing.F) {
	f.Add("device,operation\nSEP0011223344AA,install\n")
	f.Fuzz(func(t *testing.T, text string) {
		changes, err := capf.ReadBulk(strings.NewReader(text))
		if err != nil && changes != nil {
			t.Error("a partial result beside an error")
		}
		for _, change := range changes {
			if again, err := capf.ParseDevice(change.Device); err != nil || again != change.Device {
				t.Errorf("device %q", change.Device)
			}
		}
	})
}

package capf_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

func TestEveryCodeHasItsConsequence(t *testing.T) {
	for _, code := range capf.Codes {
		consequence := capf.ConsequenceOf(fmt.Errorf("around: %w", &capf.Error{Code: code, Message: "x"}))
		if consequence.Exit < 1 || consequence.Exit > 3 || consequence.HTTP < 400 || consequence.HTTP > 599 {
			t.Errorf("%s: %+v", code, consequence)
		}
	}
	if got := capf.ConsequenceOf(errors.New("plain")); got.Exit != 1 || got.HTTP != 500 {
		t.Errorf("an error without a code: %+v", got)
	}
}

func TestErrorIsOneLineWithTheWayOut(t *testing.T) {
	err := &capf.Error{Code: capf.CodeRefused, Message: "what failed", Err: errors.New("why"), Hint: "do this"}
	if got, want := err.Error(), "what failed: why; do this"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAuthenticationStringStaysSecret(t *testing.T) {
	secret := *digits(t, "48151623")
	phone := capf.Phone{Device: "X", AuthString: secret}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "string", secret, "phone", phone)
	for _, text := range []string{fmt.Sprint(secret), fmt.Sprintf("%#v", secret), fmt.Sprintf("%+v", phone), fmt.Sprintf("%q", secret), log.String()} {
		if strings.Contains(text, "48151623") {
			t.Errorf("the string shows: %s", text)
		}
	}
	for _, text := range []string{"123", "12345678901", "12a4", "", "１２３４"} {
		_, err := capf.ParseAuthenticationString(text)
		if err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if !secret.Equal([]byte("48151623")) || secret.Equal([]byte("48151624")) || (capf.AuthenticationString{}).Equal(nil) {
		t.Error("comparison")
	}
}

func TestParametersNormalise(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{capf.ParamValidity, "5", "5"}, {capf.ParamValidity, "365d", "365d"}, {capf.ParamValidity, "6", ""}, {capf.ParamValidity, "1826d", ""}, {capf.ParamValidity, "0", ""},
		{capf.ParamKeySize, "p256", "p256"}, {capf.ParamKeySize, "768", ""},
		{capf.ParamKeyGenerationTime, " 120 ", "120"}, {capf.ParamKeyGenerationTime, "121", ""},
		{capf.ParamKeyGenerationAttempts, "0", "0"}, {capf.ParamKeyGenerationAttempts, "-1", ""},
		{capf.ParamPhonePort, "3804", "3804"}, {capf.ParamPhonePort, "80", ""},
		{capf.ParamOperationExpiresIn, "1", "1"}, {capf.ParamOperationExpiresIn, "0", ""},
		{capf.ParamIssuer, "CAPF", "CAPF"}, {capf.ParamIssuer, "Keon", ""},
		{capf.ParamCAAddress, "a\nb", ""},
	} {
		parameter, err := capf.FindParameter(test.name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parameter.Normalise(test.value)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s = %q: %q, %v; want %q", test.name, test.value, got, err, test.want)
		}
	}
	if _, err := capf.FindParameter("nonsense"); !capf.HasCode(err, capf.CodeInvalid) {
		t.Error(err)
	}
}

func TestParameterDefaultsAreValid(t *testing.T) {
	for _, p := range capf.ParameterList {
		if normal, err := p.Normalise(p.Default); err != nil || normal != p.Default {
			t.Errorf("%s: default %q gives %q, %v", p.Name, p.Default, normal, err)
		}
	}
	values := capf.Parameters{capf.ParamValidity: "30d", capf.ParamKeyGenerationAttempts: "0"}
	if got := values.NotAfter(noon); !got.Equal(noon.AddDate(0, 0, 30)) {
		t.Errorf("30d after noon: %s", got)
	}
	if got := (capf.Parameters{}).NotAfter(noon); !got.Equal(noon.AddDate(5, 0, 0)) {
		t.Errorf("5 years after noon: %s", got)
	}
	if values.KeyGenerationAttempts() != 1 || values.KeyGenerationTime() != 30*time.Minute || values.PhonePort() != 3804 {
		t.Error("typed values")
	}
}

func TestStatusText(t *testing.T) {
	for _, test := range []struct {
		operation capf.Operation
		ending    capf.Ending
		want      string
	}{
		{capf.OperationInstall, capf.EndingSuccess, "Upgrade Success"}, {capf.OperationDelete, capf.EndingFailed, "Delete Failed"},
		{capf.OperationTroubleshoot, capf.EndingExpired, "Troubleshoot Failed"}, {capf.OperationInstall, capf.EndingNone, "Operation Pending"},
		{capf.OperationInstall, capf.EndingWithdrawn, "None"},
	} {
		record := &capf.OperationRecord{Operation: test.operation, Ending: test.ending}
		if got := record.StatusText(noon, ""); got != test.want {
			t.Errorf("%s %s: %q, want %q", test.operation, test.ending, got, test.want)
		}
	}
}

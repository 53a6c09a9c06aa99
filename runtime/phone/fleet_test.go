package phone

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

func TestFleet(t *testing.T) {
	var now, most atomic.Int32
	s := serve(t, func(c *call) error {
		running := now.Add(1)
		defer now.Add(-1)
		for seen := most.Load(); running > seen && !most.CompareAndSwap(seen, running); seen = most.Load() {
		}
		response, err := c.authenticate()
		if err != nil {
			return err
		}
		if strings.HasSuffix(response.DeviceName, "3") {
			return c.end(wire.ReasonUnknownDevice)
		}
		return c.install(response.DeviceName, wire.RSAKeyRequest(3, 1024))
	})
	devices, err := Sequence("00:11:22:33:44:00", 24)
	if err != nil {
		t.Fatal(err)
	}
	released, finished := atomic.Int32{}, 0
	fleet := Fleet{Devices: devices, Parallel: 4,
		Prepare: func(device string) (*Phone, func() error, error) {
			config := configOf(s)
			config.Device, config.TLS = device, TLSOnly(tls.VersionTLS12)
			phone, err := New(config)
			return phone, func() error { released.Add(1); return nil }, err
		},
		Finished: func(Outcome) { finished++ },
	}
	summary := fleet.Run(t.Context())
	if summary.Phones != 24 || summary.Succeeded != 22 || summary.NotRun != 0 || summary.Operations[capf.OperationInstall] != 22 ||
		summary.TLSVersions[tls.VersionTLS12] != 24 || summary.Retried != 0 || finished != 24 || released.Load() != 24 {
		t.Errorf("%+v, %d finished, %d released", summary, finished, released.Load())
	}
	if most.Load() > 4 {
		t.Errorf("%d sessions at once", most.Load())
	}
	var failed []string
	for _, outcome := range summary.Failed {
		failed = append(failed, outcome.Device)
	}
	if want := []string{"SEP001122334403", "SEP001122334413"}; !slices.Equal(failed, want) {
		t.Errorf("failed: %v, want %v", failed, want)
	}
	if err := summary.Err(); err == nil || !strings.HasPrefix(err.Error(), "2 of 24 phones did not get what they asked for, the first: SEP001122334403: ") {
		t.Errorf("error %v", err)
	}
	if l := summary.Latency; l.Half <= 0 || l.Half > l.NineTenths || l.NineTenths > l.NinetyNine || l.NinetyNine > l.Longest || l.Longest > summary.Elapsed {
		t.Errorf("%+v in %v", l, summary.Elapsed)
	}
}

// When the context ends, what runs is broken off and nothing begins.
func TestFleetStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := serve(t, func(c *call) error {
		cancel()
		_, _ = c.Read(make([]byte, 1))
		return nil
	})
	devices, err := Sequence(testDevice, 50)
	if err != nil {
		t.Fatal(err)
	}
	fleet := Fleet{Devices: devices, Parallel: 2, Prepare: func(device string) (*Phone, func() error, error) {
		config := configOf(s)
		config.Device = device
		phone, err := New(config)
		return phone, nil, err
	}}
	summary := fleet.Run(ctx)
	if summary.Succeeded != 0 || summary.NotRun < 46 || summary.NotRun+len(summary.Failed) != 50 {
		t.Errorf("%d failed, %d not run", len(summary.Failed), summary.NotRun)
	}
	for _, outcome := range summary.Failed {
		if !errors.Is(outcome.Err, context.Canceled) {
			t.Errorf("%s: %v", outcome.Device, outcome.Err)
		}
	}
	if err := summary.Err(); err == nil || !strings.Contains(err.Error(), "were not run)") {
		t.Errorf("error %v", err)
	}
}

func TestFleetCannotPrepare(t *testing.T) {
	problem := errors.New("no flash")
	fleet := Fleet{Devices: []string{testDevice}, Prepare: func(string) (*Phone, func() error, error) { return nil, nil, problem }}
	summary := fleet.Run(t.Context())
	if err := summary.Err(); !errors.Is(err, problem) || len(summary.Failed) != 1 || summary.Failed[0].Device != testDevice {
		t.Errorf("error %v", err)
	}
}

func TestLatency(t *testing.T) {
	var durations []time.Duration
	for i := range 200 {
		durations = append(durations, time.Duration(200-i)*time.Millisecond)
	}
	want := Latency{100 * time.Millisecond, 180 * time.Millisecond, 198 * time.Millisecond, 200 * time.Millisecond}
	if got := latencyOf(durations); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := latencyOf([]time.Duration{time.Second}); got != (Latency{time.Second, time.Second, time.Second, time.Second}) {
		t.Errorf("of one: %+v", got)
	}
	if got := latencyOf(nil); got != (Latency{}) {
		t.Errorf("of none: %+v", got)
	}
}

func TestSequence(t *testing.T) {
	tests := []struct {
		first string
		count int
		want  string
	}{
		{"SEP0011223344FE", 3, "[SEP0011223344FE SEP0011223344FF SEP001122334500]"},
		{"0011.2233.44ff", 2, "[SEP0011223344FF SEP001122334500]"},
		{"SEPFFFFFFFFFFFF", 1, "[SEPFFFFFFFFFFFF]"},
		{"CSFALICE", 1, "[CSFALICE]"},
		{"SEPFFFFFFFFFFFF", 2, "2 phones from SEPFFFFFFFFFFFF on: the MAC addresses end at FFFFFFFFFFFF"},
		{"CSFALICE", 2, "CSFALICE has no MAC address to count up from: begin with SEP and 12 hex digits"},
		{"SEP001122334455", 0, "0 phones: give 1 to 1000000"},
		{"SEP001122334455", MaxDevices + 1, "1000001 phones: give 1 to 1000000"},
	}
	for _, test := range tests {
		devices, err := Sequence(test.first, test.count)
		got := fmt.Sprint(devices)
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%d from %s: %s, want %s", test.count, test.first, got, test.want)
		}
	}
	if devices, err := Sequence("../etc", 1); err == nil {
		t.Errorf("a path is a device: %v", devices)
	}
}

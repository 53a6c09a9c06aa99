package main

import (
	"context"
	"crypto"
	"crypto/tls"
	"fmt"
	"sync"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/wire"
)

// mostResident is what a connection that waits may take of the service's memory, in KiB.
const mostResident = 40

// BenchmarkParked has phones make their keys all at the same time, as old models do for half an hour: the
// service as a process of its own, the phones in this one. One iteration parks them all, has single phones
// call meanwhile, and lets all of them finish at once. It reports
//
//	KiB/session  resident memory of the service when all are parked, less what it had when it was idle
//	dropped      phones that did not get their certificate in the session that they began
//	idle-ms      median time of a call to the idle service, one after the other: before the phones are
//	             parked and after they are gone, the mean of both
//	parked-ms    the same while they are parked
//	ratio        parked-ms in idle-ms
//	finish-s     from the moment at which all have their keys to the end of the last session
func BenchmarkParked(b *testing.B) {
	for _, one := range []struct {
		name  string
		count int
		generation
	}{
		{"TLS1.3", 10_000, generation{tls: phone.TLSOnly(tls.VersionTLS13), version: wire.Version3}},
		{"TLS1.0", 2_500, generation{tls: phone.TLSOnly(tls.VersionTLS10), version: wire.Version2}},
	} {
		one.first, one.keySize = "SEP000000000000", 1024
		if testing.Short() {
			one.count /= 10
		}
		b.Run(fmt.Sprintf("%s/%d", one.name, one.count), func(b *testing.B) {
			for b.Loop() {
				benchmarkParked(b, &one.generation, one.count)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func benchmarkParked(b *testing.B, phones *generation, count int) {
	i := newInstallation(b)
	setPending(b, i, count+4*singleCalls, *phones)
	single := &singles{generation: phones, keys: newKeyring(b, phones.keySize, 4*singleCalls)}
	devices := phones.devices(b, count+4*singleCalls)
	devices, single.devices = devices[:count], devices[count:]
	lot := &parking{keys: newKeyring(b, phones.keySize, count), arrived: make(chan struct{}, 2*count), release: make(chan struct{})}
	s := i.serve()
	single.address = s.address

	single.median(b) // the first calls warm both sides up
	idle, before := single.median(b), s.resident()
	lot.park(b, phones, s.address, devices)
	resident := s.resident() - before
	parked := single.median(b)
	if waiting := i.waitingForKeys(); waiting != count {
		b.Errorf("%d of %d sessions wait for a key", waiting, count)
	}
	begin := time.Now()
	dropped := lot.finish()
	finished := time.Since(begin)
	idle = (idle + single.median(b)) / 2

	reportResident(b, resident, count, "KiB/session")
	reportMeanwhile(b, idle, parked, "parked-ms")
	b.ReportMetric(float64(len(dropped)), "dropped")
	b.ReportMetric(finished.Seconds(), "finish-s")
	if len(dropped) > 0 {
		b.Errorf("%d of %d phones did not finish, the first: %s: %v", len(dropped), count, dropped[0].Device, dropped[0].Err)
	}
	if status := s.terminate(); status != 0 {
		b.Errorf("the service ends with status %d", status)
	}
	checkLog(b, s)
}

func reportResident(b *testing.B, bytes, count int, unit string) {
	b.Helper()
	each := float64(bytes) / 1024 / float64(count)
	b.ReportMetric(each, unit)
	if each > mostResident {
		b.Errorf("%.1f %s resident, not at most %d", each, unit, mostResident)
	}
}

// reportMeanwhile leaves the judgement of times to the reader: other work on the machine is in them.
func reportMeanwhile(b *testing.B, idle, meanwhile time.Duration, unit string) {
	b.Helper()
	b.ReportMetric(idle.Seconds()*1000, "idle-ms")
	b.ReportMetric(meanwhile.Seconds()*1000, unit)
	b.ReportMetric(meanwhile.Seconds()/idle.Seconds(), "ratio")
}

// waitingForKeys is how many phones the service believes to be making their keys.
func (i *installation) waitingForKeys() (count int) {
	i.t.Helper()
	for _, one := range i.sessions() {
		if one.State == string(capf.StateAwaitKeygenRes) {
			count++
		}
	}
	return count
}

// singleCalls is of how many calls a median is taken.
const singleCalls = 100

// singles are phones that call one after the other.
type singles struct {
	*generation
	address string
	devices []string // that have not called yet
	keys    *keyring
}

// median has the next phones call, and gives the median time that a call takes.
func (s *singles) median(b *testing.B) time.Duration {
	b.Helper()
	fleet := phone.Fleet{Devices: s.devices[:singleCalls], Prepare: func(device string) (*phone.Phone, func() error, error) {
		made, err := s.phone(device, s.address, s.keys.source())
		return made, nil, err
	}}
	s.devices = s.devices[singleCalls:]
	summary := fleet.Run(b.Context())
	if err := summary.Err(); err != nil {
		b.Fatal(err)
	}
	return summary.Latency.Half
}

// phone is one of this generation that calls once, and is patient.
func (g *generation) phone(device, address string, keys phone.KeySource) (*phone.Phone, error) {
	return phone.New(phone.Config{Device: device, Server: address, Version: g.version, Mode: capf.AuthByNullString,
		Keys: keys, VerifyServer: phone.AnyServer, TLS: g.tls, Timeout: 5 * patience})
}

// parking keeps phones in key generation until it lets all of them go.
type parking struct {
	keys    *keyring
	arrived chan struct{} // one for each phone that is parked, or never will be
	release chan struct{} // closed when they may go on

	phones sync.WaitGroup
	guard  sync.Mutex
	failed []phone.Outcome
}

// key is a phone.KeySource that takes its time.
func (p *parking) key(ctx context.Context, device string, size capf.KeySize) (crypto.Signer, error) {
	p.arrived <- struct{}{}
	select {
	case <-p.release:
		return p.keys.source()(ctx, device, size)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// park has the phones call, as many at a time as elsewhere, and returns when all of them make their keys.
func (p *parking) park(b *testing.B, phones *generation, address string, devices []string) {
	b.Helper()
	for number, device := range devices {
		if number >= atOnce {
			<-p.arrived
		}
		calling, err := phones.phone(device, address, p.key)
		if err != nil {
			b.Fatal(err)
		}
		p.phones.Go(func() { p.note(calling.Run(b.Context())) })
	}
	for range min(atOnce, len(devices)) {
		<-p.arrived
	}
}

func (p *parking) note(outcome phone.Outcome) {
	if outcome.Err == nil {
		return
	}
	p.guard.Lock()
	defer p.guard.Unlock()
	p.failed = append(p.failed, outcome)
	p.arrived <- struct{}{} // there is room for every phone twice
}

// finish lets the phones go on, and gives those that did not come to the end that they wanted.
func (p *parking) finish() []phone.Outcome {
	close(p.release)
	p.phones.Wait()
	return p.failed
}

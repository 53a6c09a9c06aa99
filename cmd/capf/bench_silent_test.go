package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"capf/runtime/phone"
	"capf/runtime/wire"
)

// BenchmarkSilent has connections come that never speak, and single phones call meanwhile. It reports
//
//	KiB/connection  resident memory of the service while all of them are open, less what it had when it was idle
//	idle-ms         median time of a call to the idle service, one after the other: before they come and after
//	                they are closed, the mean of both
//	beside-ms       the same beside them
//	ratio           beside-ms in idle-ms
//	closed-s        the longest time for which one of them was open; the deadline is ten seconds
func BenchmarkSilent(b *testing.B) {
	count := 1000
	if testing.Short() {
		count = 200
	}
	phones := &generation{first: "SEP000000000000", tls: phone.TLSOnly(tls.VersionTLS13), version: wire.Version3, keySize: 1024}
	for b.Loop() {
		benchmarkSilent(b, phones, count, 10*time.Second)
	}
	b.ReportMetric(0, "ns/op")
}

func benchmarkSilent(b *testing.B, phones *generation, count int, deadline time.Duration) {
	i := newInstallation(b)
	setPending(b, i, 4*singleCalls, *phones)
	single := &singles{generation: phones, devices: phones.devices(b, 4*singleCalls), keys: newKeyring(b, phones.keySize, 4*singleCalls)}
	s := i.serve("--config", i.write("capf.toml", fmt.Sprintf("phone = {handshake-timeout = %q}", deadline)))
	single.address = s.address

	single.median(b) // the first calls warm both sides up
	idle, idleResident := single.median(b), s.resident()
	before := s.descriptors()
	lines := openSilent(b, s.address, count)
	beside := single.median(b)
	resident := s.resident() - idleResident
	if open := s.descriptors().sockets - before.sockets; open < count {
		b.Errorf("%d of %d connections are open after %v: too early, or the calls took too long", open, count, time.Since(lines[0].opened))
	}
	b.ReportMetric(awaitDeadline(b, lines, deadline).Seconds(), "closed-s")
	s.givenBack(before)
	idle = (idle + single.median(b)) / 2

	reportResident(b, resident, count, "KiB/connection")
	reportMeanwhile(b, idle, beside, "beside-ms")
	if status := s.terminate(); status != 0 {
		b.Errorf("the service ends with status %d", status)
	}
	checkLog(b, s)
}

// silentLine is a connection that never speaks.
type silentLine struct {
	net.Conn
	opened time.Time
	closed chan error // what reading from it gave, once it ended
	took   time.Duration
}

func openSilent(b *testing.B, address string, count int) []*silentLine {
	b.Helper()
	lines := make([]*silentLine, count)
	for number := range lines {
		line := &silentLine{opened: time.Now(), Conn: dial(b, address), closed: make(chan error, 1)}
		b.Cleanup(func() { _ = line.Close() })
		lines[number] = line
		go func() {
			_, err := line.Read(make([]byte, 1))
			line.took = time.Since(line.opened)
			line.closed <- err
		}()
	}
	return lines
}

// awaitDeadline waits until the service has closed all of them, none of them early, and gives the longest
// time that one was open.
func awaitDeadline(b *testing.B, lines []*silentLine, deadline time.Duration) (longest time.Duration) {
	b.Helper()
	for number, line := range lines {
		if err := line.SetReadDeadline(time.Now().Add(patience)); err != nil {
			b.Fatal(err)
		}
		if err := <-line.closed; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			b.Fatalf("connection %d of %d: %v", number, len(lines), err)
		}
		if line.took < deadline {
			b.Errorf("connection %d was closed after %v, before the deadline of %v", number, line.took, deadline)
		}
		longest = max(longest, line.took)
	}
	return longest
}

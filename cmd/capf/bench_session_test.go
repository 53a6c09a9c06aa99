package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"capf/runtime/phone"
	"capf/runtime/wire"
)

// BenchmarkSessions measures installations: the service as a process of its own, phones in this one, 32 at a
// time, with keys made beforehand. One iteration is a whole batch on a fresh data directory. It reports
//
//	sessions/s            with service and phones on the same machine
//	server-ms/session     CPU time of the service by getrusage, less what starting and stopping it takes
//	server-sys-ms/session the part of it that was spent in the kernel
//	phone-ms/session      CPU time of this process
//	signature-ms          CPU time of one RSA-2048 signature while every core makes some
//	signatures/session    server-ms/session in signatures; the handshake and the certificate need one each
//
// The time for an operation would say nothing more, and is left out.
func BenchmarkSessions(b *testing.B) {
	rsaKeyExchange, ecdhe := []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	for _, one := range []struct {
		name string
		generation
	}{
		{"TLS1.0/RSA", generation{tls: phone.TLS{Min: tls.VersionTLS10, Max: tls.VersionTLS10, CipherSuites: rsaKeyExchange}, version: wire.Version2}},
		{"TLS1.2/RSA", generation{tls: phone.TLS{Min: tls.VersionTLS12, Max: tls.VersionTLS12, CipherSuites: rsaKeyExchange}, version: wire.Version3}},
		{"TLS1.2/ECDHE", generation{tls: phone.TLS{Min: tls.VersionTLS12, Max: tls.VersionTLS12, CipherSuites: ecdhe}, version: wire.Version3}},
		{"TLS1.3", generation{tls: phone.TLSOnly(tls.VersionTLS13), version: wire.Version3}},
	} {
		one.first, one.keySize = "SEP000000000000", 1024
		b.Run(one.name, func(b *testing.B) { benchmarkBatches(b, &one.generation) })
	}
}

func benchmarkBatches(b *testing.B, phones *generation) {
	sessions := 3000
	if testing.Short() {
		sessions = 300
	}
	var elapsed time.Duration
	var server, own cpuTime
	signature := signatureTime(b) // before and after: other work on the machine slows everything down
	for b.Loop() {
		b.StopTimer()
		i := newInstallation(b)
		idle := i.serve().spent()
		setPending(b, i, sessions, *phones)
		keys := newKeyring(b, phones.keySize, sessions)
		service, before := i.serve(), ownTime(b)
		b.StartTimer()
		elapsed += phones.enrol(b, service.address, keys, sessions).Elapsed
		b.StopTimer()
		own = own.plus(ownTime(b).minus(before))
		server = server.plus(service.spent().minus(idle))
		b.StartTimer()
	}
	signature = (signature + signatureTime(b)) / 2
	count := float64(b.N * sessions)
	each := func(total time.Duration) float64 { return total.Seconds() * 1000 / count }
	b.ReportMetric(count/elapsed.Seconds(), "sessions/s")
	b.ReportMetric(each(server.whole()), "server-ms/session")
	b.ReportMetric(each(server.system), "server-sys-ms/session")
	b.ReportMetric(each(own.whole()), "phone-ms/session")
	b.ReportMetric(signature.Seconds()*1000, "signature-ms")
	b.ReportMetric(server.whole().Seconds()/count/signature.Seconds(), "signatures/session")
	b.ReportMetric(0, "ns/op")
}

// cpuTime is CPU time as getrusage gives it.
type cpuTime struct{ user, system time.Duration }

func (c cpuTime) whole() time.Duration { return c.user + c.system }
func (c cpuTime) plus(other cpuTime) cpuTime {
	return cpuTime{c.user + other.user, c.system + other.system}
}
func (c cpuTime) minus(other cpuTime) cpuTime {
	return cpuTime{c.user - other.user, c.system - other.system}
}

func cpuTimeOf(usage *syscall.Rusage) cpuTime {
	return cpuTime{user: time.Duration(usage.Utime.Nano()), system: time.Duration(usage.Stime.Nano())}
}

// ownTime is what this process has spent so far.
func ownTime(t testing.TB) cpuTime {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return cpuTimeOf(&usage)
}

// spent ends the service and gives what its process has spent in all.
func (s *service) spent() cpuTime {
	s.t.Helper()
	if status := s.terminate(); status != 0 {
		s.t.Fatalf("the service ends with status %d:\n%s", status, s.text())
	}
	return cpuTimeOf(s.command.ProcessState.SysUsage().(*syscall.Rusage))
}

// signatureTime is the CPU time of one signature with a key of 2048 bits, as the CAPF key is, while all
// cores make signatures.
func signatureTime(b *testing.B) time.Duration {
	b.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	const each = 500 // for a core
	digest := sha256.Sum256([]byte("signed"))
	cores := runtime.GOMAXPROCS(0)
	before := ownTime(b)
	var busy sync.WaitGroup
	for range cores {
		busy.Go(func() {
			for range each {
				if _, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	busy.Wait()
	return ownTime(b).minus(before).whole() / time.Duration(cores*each)
}

package storetest

import (
	"net/netip"
	"strings"
	"time"

	"capf/runtime/capf"
)

var clusterTests = map[string]func(*suite){
	"parameters":              parameters,
	"nodes":                   nodes,
	"changed node":            changedNode,
	"one publisher":           onePublisher,
	"tokens":                  tokens,
	"list in the field":       fieldList,
	"list with its tokens":    listWithTokens,
	"ITL":                     fieldITL,
	"imported list":           importedList,
	"imported at once":        importedAtOnce,
	"versions of the list":    versions,
	"deliveries":              deliveries,
	"restarts":                restarts,
	"a health check is quiet": healthCheck,
}

func parameters(s *suite) {
	values, err := s.Parameters(s.ctx)
	s.must(err)
	s.equal("at first", values, capf.Parameters{})
	s.must(s.SetParameter(s.ctx, capf.ParamValidity, " 365d ", actor))
	s.must(s.SetParameter(s.ctx, capf.ParamKeySize, "2048", actor))
	s.must(s.SetParameter(s.ctx, capf.ParamKeySize, "512", actor))
	s.wantCode(s.SetParameter(s.ctx, capf.ParamKeySize, "513", actor), capf.CodeInvalid)
	s.wantCode(s.SetParameter(s.ctx, "no-such", "1", actor), capf.CodeInvalid)
	values, err = s.Parameters(s.ctx)
	s.must(err)
	s.equal("parameters", values, capf.Parameters{capf.ParamValidity: "365d", capf.ParamKeySize: "512"})
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)})
	s.equal("key size of a new phone", s.phone(device(1)).KeySize, capf.RSA512)
	trail, err := s.Audit(s.ctx, 2)
	s.must(err)
	s.equal("audit entry", trail[1], capf.AuditEntry{At: Start, Actor: actor, Action: "parameter set", Subject: capf.ParamKeySize, Detail: `from "2048" to "512"`})
}

func node(name string, publisher bool) capf.Node {
	return capf.Node{Name: name, Role: capf.RoleCCMTFTP, Address: netip.MustParseAddr("192.0.2.10"), DNSName: name + ".example", Publisher: publisher,
		Certificate: []byte{0x30, 0x00}, TVSCertificate: []byte{0x30, 0x01, 0x00}, Target: "file:///srv/" + name, CertificatesDir: "Certificates", TFTPDir: "TFTPPath", AddedAt: Start}
}

func nodes(s *suite) {
	bare := capf.Node{Name: "bare", Role: capf.RoleTFTP, Address: netip.MustParseAddr("192.0.2.11"), Target: "file:///srv/bare"}
	s.must(s.AddNode(s.ctx, node("zulu", true), actor))
	s.must(s.AddNode(s.ctx, bare, actor))
	bare.AddedAt = Start
	list, err := s.Nodes(s.ctx)
	s.must(err)
	s.equal("nodes", list, []capf.Node{node("zulu", true), bare})
	one, err := s.Node(s.ctx, "bare")
	s.must(err)
	s.equal("node", one, bare)
	s.wantCode(s.AddNode(s.ctx, node("zulu", false), actor), capf.CodeConflict)
	s.wantCode(s.AddNode(s.ctx, capf.Node{Name: "a/b", Address: bare.Address}, actor), capf.CodeInvalid)
	s.must(s.RemoveNode(s.ctx, "zulu", actor))
	s.wantCode(s.RemoveNode(s.ctx, "zulu", actor), capf.CodeNotFound)
	_, err = s.Node(s.ctx, "zulu")
	s.wantCode(err, capf.CodeNotFound)
	trail, err := s.Audit(s.ctx, 1)
	s.must(err)
	s.equal("audit entry", trail, []capf.AuditEntry{{At: Start, Actor: actor, Action: "node remove", Subject: "zulu"}})
}

func onePublisher(s *suite) {
	s.must(s.AddNode(s.ctx, node("first", true), actor))
	err := s.AddNode(s.ctx, node("second", true), actor)
	s.wantCode(err, capf.CodeConflict)
	if !strings.Contains(err.Error(), "first") {
		s.t.Errorf("the error does not name the publisher: %v", err)
	}
	s.must(s.AddNode(s.ctx, node("second", false), actor))
	s.must(s.RemoveNode(s.ctx, "first", actor))
	s.must(s.AddNode(s.ctx, node("third", true), actor))
}

func tokens(s *suite) {
	first := capf.Token{Name: "west", Location: "/etc/west.pem", Certificate: []byte{1}}
	second := capf.Token{Name: "east", Location: "/etc/east.pem", Certificate: []byte{2}}
	s.must(s.AddToken(s.ctx, first, actor))
	s.must(s.AddToken(s.ctx, second, actor))
	s.wantCode(s.AddToken(s.ctx, first, actor), capf.CodeConflict)
	first.AddedAt, second.AddedAt = Start, Start
	list, err := s.Tokens(s.ctx)
	s.must(err)
	s.equal("tokens", list, []capf.Token{first, second})
	s.must(s.RemoveToken(s.ctx, "west", actor))
	s.wantCode(s.RemoveToken(s.ctx, "west", actor), capf.CodeNotFound)
	list, err = s.Tokens(s.ctx)
	s.must(err)
	s.equal("tokens", list, []capf.Token{second})
}

func versions(s *suite) {
	_, err := s.LatestCTL(s.ctx)
	s.wantCode(err, capf.CodeNotFound)
	imported := capf.CTLVersion{Origin: capf.CTLImported, Digest: "sha1", Signer: "CN=old", File: []byte("old"), SHA256: capf.HexSHA256([]byte("old"))}
	built := capf.CTLVersion{Origin: capf.CTLBuilt, Mode: capf.ClusterMixed, Digest: "sha512", Signer: "west", SignedAt: Start.Add(-time.Minute),
		File: []byte("new"), SHA256: capf.HexSHA256([]byte("new"))}
	for i, version := range []*capf.CTLVersion{&imported, &built} {
		version.Version, err = s.AddCTL(s.ctx, *version, actor)
		s.must(err)
		s.equal("number", version.Version, int64(i+1))
		version.AddedAt = Start
	}
	latest, err := s.LatestCTL(s.ctx)
	s.must(err)
	s.equal("latest", latest, built)
	first, err := s.CTL(s.ctx, 1)
	s.must(err)
	s.equal("first", first, imported)
	_, err = s.CTL(s.ctx, 3)
	s.wantCode(err, capf.CodeNotFound)
	list, err := s.CTLVersions(s.ctx)
	s.must(err)
	imported.File, built.File = nil, nil
	s.equal("list", list, []capf.CTLVersion{built, imported})
}

func deliveries(s *suite) {
	s.must(s.AddNode(s.ctx, node("one", true), actor))
	s.must(s.AddNode(s.ctx, node("two", false), actor))
	s.must(s.RecordDelivery(s.ctx, capf.Delivery{Node: "two", Version: 1, Outcome: "failed", Detail: "no room", At: Start}))
	s.must(s.RecordDelivery(s.ctx, capf.Delivery{Node: "two", Version: 2, Outcome: "delivered", At: Start.Add(time.Hour)}))
	s.must(s.RecordDelivery(s.ctx, capf.Delivery{Node: "one", Outcome: "failed", At: Start}))
	s.wantCode(s.RecordDelivery(s.ctx, capf.Delivery{Node: "none"}), capf.CodeNotFound)
	list, err := s.Deliveries(s.ctx)
	s.must(err)
	second := capf.Delivery{Node: "two", Version: 2, Outcome: "delivered", At: Start.Add(time.Hour)}
	s.equal("deliveries", list, []capf.Delivery{{Node: "one", Outcome: "failed", At: Start}, second})
	s.must(s.RemoveNode(s.ctx, "one", actor))
	list, err = s.Deliveries(s.ctx)
	s.must(err)
	s.equal("deliveries", list, []capf.Delivery{second})
}

func healthCheck(s *suite) {
	s.pend(device(1), capf.OperationInstall)
	before := s.phone(device(1))
	trail, err := s.Audit(s.ctx, 0)
	s.must(err)
	s.must(s.Check(s.ctx))
	after, err := s.Audit(s.ctx, 0)
	s.must(err)
	s.equal("audit trail", after, trail)
	s.equal("phone", s.phone(device(1)), before)
}

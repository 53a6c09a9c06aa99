package storetest

import (
	"errors"
	"net/netip"

	"capf/runtime/capf"
)

func changedNode(s *suite) {
	s.must(s.AddNode(s.ctx, node("one", true), actor))
	s.must(s.AddNode(s.ctx, node("two", false), actor))
	s.must(s.RecordDelivery(s.ctx, capf.Delivery{Node: "one", Version: 1, Outcome: "done", At: Start}))
	changed, err := s.ChangeNode(s.ctx, "one", func(n *capf.Node) error {
		n.Certificate, n.Address, n.DNSName = []byte{0x30, 0x01, 0x05}, netip.MustParseAddr("192.0.2.99"), ""
		n.Name, n.Publisher = "other", false // not by this
		return nil
	}, actor)
	s.must(err)
	s.equal("changed", changed, []string{"address", "dns-name", "certificate"})
	want := node("one", true)
	want.Certificate, want.Address, want.DNSName = []byte{0x30, 0x01, 0x05}, netip.MustParseAddr("192.0.2.99"), ""
	list, err := s.Nodes(s.ctx)
	s.must(err)
	s.equal("nodes", list, []capf.Node{want, node("two", false)})
	delivered, err := s.Deliveries(s.ctx)
	s.must(err)
	s.equal("deliveries", delivered, []capf.Delivery{{Node: "one", Version: 1, Outcome: "done", At: Start}})

	changed, err = s.ChangeNode(s.ctx, "two", func(n *capf.Node) error {
		n.Role, n.Target, n.CertificatesDir, n.TFTPDir = capf.RoleTFTP, "file:///b", "c", "d"
		n.TVSCertificate = nil
		return nil
	}, actor)
	s.must(err)
	s.equal("changed", changed, []string{"role", "target", "certificates", "tftp", "tvs-certificate"})
	changed, err = s.ChangeNode(s.ctx, "two", func(*capf.Node) error { return nil }, actor)
	s.must(err)
	s.equal("changed", changed, []string(nil))
	s.unchangedNode("two")
	trail, err := s.Audit(s.ctx, 1)
	s.must(err)
	s.equal("audit entry", trail, []capf.AuditEntry{{At: Start, Actor: actor, Action: "node set", Subject: "two", Detail: "role target certificates tftp tvs-certificate"}})
}

// unchangedNode: a change that is refused leaves the node as it was.
func (s *suite) unchangedNode(name string) {
	before, err := s.Node(s.ctx, name)
	s.must(err)
	refused := errors.New("refused")
	_, err = s.ChangeNode(s.ctx, name, func(n *capf.Node) error {
		n.Target = "file:///elsewhere"
		return refused
	}, actor)
	s.equal("refused", errors.Is(err, refused), true)
	_, err = s.ChangeNode(s.ctx, name, func(n *capf.Node) error {
		n.Address = netip.MustParseAddr("::1")
		return nil
	}, actor)
	s.wantCode(err, capf.CodeInvalid)
	_, err = s.ChangeNode(s.ctx, "nobody", func(*capf.Node) error { return nil }, actor)
	s.wantCode(err, capf.CodeNotFound)
	after, err := s.Node(s.ctx, name)
	s.must(err)
	s.equal("after refusals", after, before)
}

package storetest

import (
	"time"

	"capf/runtime/capf"
)

func list(name string) capf.CTLVersion {
	return capf.CTLVersion{Origin: capf.CTLBuilt, Digest: "sha1", Signer: name, File: []byte(name), SHA256: capf.HexSHA256([]byte(name))}
}

// fieldList: what nodes got or was imported counts, also where a later delivery to that node failed.
func fieldList(s *suite) {
	_, err := s.FieldCTL(s.ctx)
	s.wantCode(err, capf.CodeNotFound)
	inField := func(want int64, distributed bool) {
		s.t.Helper()
		found, err := s.FieldCTL(s.ctx)
		s.must(err)
		s.equal("list in the field", found.Version, want)
		s.equal("was distributed", !found.DistributedAt.IsZero(), distributed)
		s.equal("has its bytes", len(found.File) > 0, true)
	}
	add := func(version capf.CTLVersion) {
		s.t.Helper()
		_, err := s.AddCTL(s.ctx, version, actor)
		s.must(err)
	}
	deliver := func(node string, version int64, outcome string) {
		s.t.Helper()
		s.must(s.RecordDelivery(s.ctx, capf.Delivery{Node: node, Version: version, Outcome: outcome, At: Start.Add(time.Duration(version) * time.Hour)}))
	}
	s.must(s.AddNode(s.ctx, node("one", true), actor))
	s.must(s.AddNode(s.ctx, node("two", false), actor))
	add(list("first"))
	add(list("second"))
	inField(2, false)
	deliver("one", 1, "done")
	inField(1, true)
	deliver("one", 2, "failed")
	deliver("two", 2, "refused")
	inField(1, true)
	deliver("two", 2, "partly")
	inField(2, true)
	s.must(s.RemoveNode(s.ctx, "two", actor))
	inField(2, true)
	imported := list("third")
	imported.Origin = capf.CTLImported
	add(imported)
	inField(3, false)
	add(list("fourth"))
	inField(3, false)
	deliver("one", 4, "unchanged")
	inField(4, true)
}

// fieldITL: an ITL is kept with its list, and the one in the field is the newest of those that were distributed.
func fieldITL(s *suite) {
	inField := func(want string) {
		s.t.Helper()
		found, err := s.FieldITL(s.ctx)
		s.must(err)
		s.equal("ITL in the field", string(found.ITL), want)
		s.equal("its list", string(found.File), "list of "+want)
	}
	add := func(itl string) {
		s.t.Helper()
		version := list("list of " + itl)
		if itl != "" {
			version.ITL = []byte(itl)
		}
		number, err := s.AddCTL(s.ctx, version, actor)
		s.must(err)
		kept, err := s.CTL(s.ctx, number)
		s.must(err)
		s.equal("ITL", kept.ITL, version.ITL)
		digest := ""
		if itl != "" {
			digest = capf.HexSHA256(version.ITL)
		}
		s.equal("digest of the ITL", kept.ITLSHA256, digest)
		all, err := s.CTLVersions(s.ctx)
		s.must(err)
		s.equal("digest in the list of all", all[0].ITLSHA256, digest)
		s.equal("bytes in the list of all", len(all[0].ITL), 0)
		latest, err := s.LatestCTL(s.ctx)
		s.must(err)
		s.equal("the newest list", string(latest.File), "list of "+itl)
	}
	s.must(s.AddNode(s.ctx, node("one", true), actor))
	add("")
	_, err := s.FieldITL(s.ctx)
	s.wantCode(err, capf.CodeNotFound)
	add("first")
	add("second")
	add("")
	inField("second")
	s.must(s.RecordDelivery(s.ctx, capf.Delivery{Node: "one", Version: 2, Outcome: "done", At: Start}))
	inField("first")
	s.must(s.RecordDelivery(s.ctx, capf.Delivery{Node: "one", Version: 4, Outcome: "done", At: Start}))
	inField("first")
}

// listWithTokens: the list and the change of tokens are kept together or not at all.
func listWithTokens(s *suite) {
	first := capf.Token{Name: "west", Location: "/etc/west.pem", Certificate: []byte{1}}
	second := capf.Token{Name: "east", Location: "pkcs11:token=east?module-path=/lib/p.so", Certificate: []byte{2}}
	s.must(s.AddToken(s.ctx, first, actor))
	_, err := s.KeepCTL(s.ctx, list("list"), capf.TokenChange{Add: []capf.Token{second}, Remove: []string{"north"}}, actor)
	s.wantCode(err, capf.CodeNotFound)
	_, err = s.KeepCTL(s.ctx, list("list"), capf.TokenChange{Add: []capf.Token{second, first}}, actor)
	s.wantCode(err, capf.CodeConflict)
	tokens, err := s.Tokens(s.ctx)
	s.must(err)
	s.equal("tokens", len(tokens), 1)
	_, err = s.LatestCTL(s.ctx)
	s.wantCode(err, capf.CodeNotFound)

	version, err := s.KeepCTL(s.ctx, list("list"), capf.TokenChange{Add: []capf.Token{second}, Remove: []string{"west"}}, actor)
	s.must(err)
	s.equal("version", version, int64(1))
	tokens, err = s.Tokens(s.ctx)
	s.must(err)
	second.AddedAt = Start
	s.equal("tokens", tokens, []capf.Token{second})
}

package storetest

import "capf/runtime/capf"

// importedList: the list that phones are known to hold is recorded once, any other again.
func importedList(s *suite) {
	imported := func(name string) capf.CTLVersion {
		one := list(name)
		one.Origin = capf.CTLImported
		return one
	}
	want := func(what, name string, version int64, added bool) {
		s.t.Helper()
		got, isNew, err := s.ImportCTL(s.ctx, imported(name), actor)
		s.must(err)
		s.equal(what, []any{got, isNew}, []any{version, added})
	}
	want("the first", "old", 1, true)
	want("again", "old", 1, false)
	_, err := s.AddCTL(s.ctx, list("ours"), actor)
	s.must(err)
	want("of before ours, which no node got", "old", 1, false)
	want("ours, which no node is known to have got", "ours", 3, true)
	want("an earlier one", "old", 4, true)
	s.must(s.AddNode(s.ctx, node("one", true), actor))
	number, err := s.AddCTL(s.ctx, list("distributed"), actor)
	s.must(err)
	s.must(s.RecordDelivery(s.ctx, capf.Delivery{Node: "one", Version: number, Outcome: "done", At: Start}))
	want("what a node got", "distributed", number, false)
	kept, err := s.CTL(s.ctx, number)
	s.must(err)
	s.equal("origin", kept.Origin, capf.CTLBuilt)
	all, err := s.CTLVersions(s.ctx)
	s.must(err)
	s.equal("versions", len(all), 5)
}

// importedAtOnce: many say at the same time what phones hold, and one version comes of it.
func importedAtOnce(s *suite) {
	one := list("old")
	one.Origin = capf.CTLImported
	s.must(together(20, func(int) error {
		_, _, err := s.ImportCTL(s.ctx, one, actor)
		return err
	}))
	all, err := s.CTLVersions(s.ctx)
	s.must(err)
	s.equal("versions", len(all), 1)
}

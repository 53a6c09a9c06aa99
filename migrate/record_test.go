package migrate

import "testing"

// TestCommons: what is alike is shared, and nothing else is.
func TestCommons(t *testing.T) {
	var commons commons
	kinds := []common{
		{}, {machine: "a"}, {file: "a"}, {status: "a"}, {operation: "a"}, {mode: "a"}, {keySize: "a"}, {machine: "a", file: "a"},
	}
	given := map[*common]common{}
	for range 2 {
		for _, kind := range kinds {
			one := commons.share(kind)
			if *one != kind {
				t.Errorf("%+v is given for %+v", *one, kind)
			}
			given[one] = kind
		}
	}
	if len(given) != len(kinds) {
		t.Errorf("%d are kept of %d kinds", len(given), len(kinds))
	}
	if allocations := testing.AllocsPerRun(100, func() { commons.share(kinds[3]) }); allocations != 0 {
		t.Errorf("one that is known takes %v allocations", allocations)
	}
}

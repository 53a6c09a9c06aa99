package migrate

import (
	"cmp"
	"slices"
	"strings"
)

// groups gathers the records of all machines by their phones, in the order of those. Within a group they keep theirs.
// The groups share two blocks of memory: there may be one for each record.
func (r *reading) groups() []*group {
	records := r.byDevice()
	phones := 0
	for i, one := range records {
		if i == 0 || one.device != records[i-1].device {
			phones++
		}
	}
	room := make([]group, phones)
	out := make([]*group, 0, phones)
	for len(records) > 0 {
		one := &room[len(out)]
		*one, records = firstGroup(records)
		out = append(out, one)
	}
	return out
}

// firstGroup cuts the first group off records that are in the order of their devices, and gives those behind it.
func firstGroup(records []*record) (group, []*record) {
	to := 1
	for to < len(records) && records[to].device == records[0].device {
		to++
	}
	return group{device: records[0].device, records: records[:to:to]}, records[to:]
}

// byDevice gives the records of all machines in the order of their devices, and of those of one in theirs.
func (r *reading) byDevice() []*record {
	count := 0
	for _, m := range r.machines {
		count += len(m.records)
	}
	out := make([]*record, 0, count)
	for _, m := range r.machines {
		out = append(out, m.records...)
	}
	slices.SortFunc(out, func(a, b *record) int {
		return cmp.Or(strings.Compare(a.device, b.device), cmp.Compare(a.number, b.number))
	})
	return out
}

// groupsBy finds groups, which are in the order of their devices.
type groupsBy []*group

// find gives nil where no record is of the device.
func (g groupsBy) find(device string) *group {
	if at, found := g.place(device); found {
		return g[at]
	}
	return nil
}

func (g groupsBy) place(device string) (int, bool) {
	return slices.BinarySearchFunc(g, device, func(one *group, device string) int { return strings.Compare(one.device, device) })
}

package migrate

// twiceInFile is what is said of the later records of a phone in one file.
const twiceInFile = "phone is recorded before in the same file: their times put its records in order"

// noteTwice tells of phones that one file records more than once.
func (r *reading) noteTwice(groups []*group) {
	machines := map[string]*machineReading{}
	for _, m := range r.machines {
		machines[m.name] = m
	}
	for _, g := range groups {
		for i, one := range g.records {
			if i > 0 && one.machine == g.records[i-1].machine && one.file == g.records[i-1].file {
				machines[one.machine].doubts.add(one.position(), twiceInFile)
			}
		}
	}
}

package migrate

import (
	"fmt"
	"slices"

	"capf/legacy/machine"
)

// checkRecognised refuses a source in which, with so many records, nothing at all is of a CAPF: its files bear the names,
// and are empty or hold something else. A run over it would look like a migration. A file that is read by a dialect, if
// only its header, is enough, and so is any certificate.
func (m *machineReading) checkRecognised(records int) error {
	read := func(file machine.PhoneFile) bool { return file.Reading.Dialect != nil }
	configured := func(file machine.ConfigurationFile) bool { return file.Content.Dialect != nil }
	if records+len(m.Certificates)+len(m.Further) > 0 || slices.ContainsFunc(m.PhoneFiles, read) || slices.ContainsFunc(m.Configurations, configured) {
		return nil
	}
	var names []string
	for _, file := range m.Source.Files {
		names = append(names, fmt.Sprintf("%s of %d bytes", file.Path, file.Size))
	}
	return fmt.Errorf("source %s: nothing of a CAPF was recognised in %s: looked for phones in CAPF.phone, settings in CAPF.cfg, certificates "+
		"in *.0, CAPF.cer and capf.pem, and for databases and lists of phones; there is only %s: see that the copy is whole, or leave it out",
		m.name, m.Source.Folder, listedInWords(names))
}

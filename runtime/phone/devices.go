package phone

import (
	"fmt"
	"strconv"

	"capf/runtime/capf"
)

// MaxDevices is the most devices of one sequence.
const MaxDevices = 1_000_000

// Sequence is count names of devices, from the first one counting up the MAC address by one. A single
// device may have any name.
func Sequence(first string, count int) ([]string, error) {
	name, err := capf.ParseDevice(first)
	if err != nil {
		return nil, err
	}
	if count < 1 || count > MaxDevices {
		return nil, fmt.Errorf("%d phones: give 1 to %d", count, MaxDevices)
	}
	digits, isMAC := capf.MAC(name)
	if !isMAC {
		if count == 1 {
			return []string{name}, nil
		}
		return nil, fmt.Errorf("%s has no MAC address to count up from: begin with SEP and 12 hex digits", name)
	}
	mac, err := strconv.ParseUint(digits, 16, 48)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if last := mac + uint64(count) - 1; last >= 1<<48 {
		return nil, fmt.Errorf("%d phones from %s on: the MAC addresses end at FFFFFFFFFFFF", count, name)
	}
	devices := make([]string, count)
	for i := range devices {
		devices[i] = fmt.Sprintf("SEP%012X", mac+uint64(i))
	}
	return devices, nil
}

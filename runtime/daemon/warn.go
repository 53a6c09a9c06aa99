package daemon

import (
	"time"

	"capf/runtime/ca"
	"capf/runtime/session"
)

// nearExpiry is how long before its end the CAPF certificate is worth a warning.
const nearExpiry = 90 * 24 * time.Hour

// warn says at start what will keep phones from getting through.
func (d *Daemon) warn(authority *ca.Authority) error {
	split, err := session.SplitsRecords(authority.TLS())
	if err != nil {
		return err
	}
	d.openMetrics(split)
	if split {
		d.options.Log.Warn("this program was built without the TLS overlay: messages leave in two records at TLS 1.0, and phones of the 79xx family stall; build it with `make build`")
	}
	if left := authority.Certificate.NotAfter.Sub(d.options.Environment.Clock()); left < nearExpiry {
		d.options.Log.Warn("the CAPF certificate ends soon, and LSCs with it", "not-after", authority.Certificate.NotAfter)
	}
	return nil
}

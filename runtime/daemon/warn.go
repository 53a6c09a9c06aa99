package daemon

import (
	"context"
	"crypto/tls"
	"time"
)

// nearExpiry is how long before its end the CAPF certificate is worth a warning.
const nearExpiry = 90 * 24 * time.Hour

// warn says at start what will keep phones from getting through, or lets in more than it should; split says that a
// message leaves in two TLS records at TLS 1.0.
func (d *Daemon) warn(ctx context.Context, split bool) error {
	if split {
		d.options.Log.Warn("this program was built without the TLS overlay: messages leave in two records at TLS 1.0, and phones of the 79xx family stall; build it with `make build`")
	}
	if end := d.identity.Certificate().NotAfter; end.Sub(d.options.Environment.Clock()) < nearExpiry {
		d.options.Log.Warn("the CAPF certificate ends soon, and LSCs with it", "not-after", end)
	}
	return d.warnTLS(ctx)
}

// warnTLS says how many phones still need the TLS versions below 1.2 that the configuration lets in, so
// that the administrator can see when to raise the floor.
func (d *Daemon) warnTLS(ctx context.Context) error {
	phone := d.options.Config.Phone
	if phone.TLS() >= tls.VersionTLS12 {
		return nil
	}
	counts, err := d.store.PhonesByTLS(ctx)
	if err != nil {
		return err
	}
	words := "TLS below 1.2 is let in, and no phone is known to need it: raise min-tls once those that have never called have done so"
	if counts["1.0"]+counts["1.1"] > 0 {
		words = "TLS below 1.2 is let in, and phones need it: raise min-tls when the last of them is gone"
	}
	d.options.Log.Warn(words, "min-tls", phone.MinTLS, "last-seen-1.0", counts["1.0"], "last-seen-1.1", counts["1.1"],
		"last-seen-1.2", counts["1.2"], "last-seen-1.3", counts["1.3"], "never-called", counts[""])
	return nil
}

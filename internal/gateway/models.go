package gateway

import (
	"encoding/json"
	"net/http"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
)

// created stands for the creation time of every listed model: SDKs demand one,
// and Sallyport knows none.
const created = 0

// listModels answers GET /models and GET /models/{id} from the configuration,
// with the names that the principal may use.
func (x *Exchange) listModels() {
	defer x.recover()
	if err := x.authenticate(); err != nil {
		x.refuse(err)
		return
	}
	var answer any
	if id := x.request.PathValue("id"); id != "" {
		model := identity.Model(id)
		if len(x.snapshot.Targets(model)) == 0 || !x.principal.MayUse(model) {
			x.reply.fault(fault.Newf(fault.NotFound, "the model %q does not exist or this key may not use it", clip(id, 128)))
			return
		}
		answer = x.modelEntry(model)
	} else {
		answer = x.modelList()
	}
	b, err := json.Marshal(answer)
	if err != nil {
		x.reply.fault(fault.From(err))
		return
	}
	x.reply.header()["Content-Type"] = []string{"application/json"}
	x.reply.whole(http.StatusOK, b)
}

func (x *Exchange) modelList() any {
	entries := []any{}
	var first, last *string
	for _, m := range x.snapshot.Names() {
		if x.principal.MayUse(m) {
			name := string(m)
			if first == nil {
				first = &name
			}
			last = &name
			entries = append(entries, x.modelEntry(m))
		}
	}
	switch {
	case googleClient(x.request):
		return map[string]any{"models": entries}
	case anthropicClient(x.request):
		return map[string]any{"data": entries, "has_more": false, "first_id": first, "last_id": last}
	}
	return map[string]any{"object": "list", "data": entries}
}

func (x *Exchange) modelEntry(m identity.Model) any {
	switch {
	case googleClient(x.request):
		return map[string]any{
			"name": resource(string(m)), "baseModelId": m, "version": "001", "displayName": m,
			"supportedGenerationMethods": []string{"generateContent", "countTokens"},
		}
	case anthropicClient(x.request):
		return map[string]any{"type": "model", "id": m, "display_name": m, "created_at": "1970-01-01T00:00:00Z"}
	}
	return map[string]any{"id": m, "object": "model", "created": created, "owned_by": "sallyport"}
}

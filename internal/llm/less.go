package llm

// Less returns the request without what a target cannot express that carries only
// some features. Where nothing is missing it is the request itself; else what
// stays is shared with it.
func (r *Request) Less(carried Features) *Request {
	if len(r.Lost(carried)) == 0 {
		return r
	}
	less := *r
	less.System = lessParts(r.System, carried)
	less.Messages = nil
	for _, m := range r.Messages {
		if m.Parts = lessParts(m.Parts, carried); len(m.Parts) > 0 {
			less.Messages = append(less.Messages, m)
		}
	}
	less.Tools = nil
	for _, t := range r.Tools {
		if carried.Has(Tools) && (!t.Free || carried.Has(CustomTools)) {
			less.Tools = append(less.Tools, t)
		}
	}
	if !carried.Has(ToolChoice) || len(less.Tools) == 0 {
		less.Choice = Choice{Serial: r.Choice.Serial}
	}
	less.Choice.Serial = less.Choice.Serial && carried.Has(SerialTools)
	if r.Format.Kind == FormatJSON && !carried.Has(JSONObject) || r.Format.Kind == FormatSchema && !carried.Has(JSONSchema) {
		less.Format = Format{}
	}
	if !carried.Has(StopSequences) {
		less.Stop = nil
	}
	if !carried.Has(Penalties) {
		less.Penalty = Penalty{}
	}
	for f := range less.Options {
		if !carried.Has(Feature(f)) {
			less.Options[f] = nil
		}
	}
	return &less
}

// lessParts leaves out the parts that need a feature which is not carried.
func lessParts(parts []Part, carried Features) []Part {
	var kept []Part
	for _, p := range parts {
		if f, needs := p.needs(); needs && !carried.Has(f) {
			continue
		}
		if p.Kind == ToolResult {
			p.Result.Parts = lessParts(p.Result.Parts, carried)
			if !carried.Has(ToolMedia) {
				p.Result.Parts = onlyTexts(p.Result.Parts)
			}
		}
		kept = append(kept, p)
	}
	return kept
}

func onlyTexts(parts []Part) []Part {
	var kept []Part
	for _, p := range parts {
		if p.Kind == Text {
			kept = append(kept, p)
		}
	}
	return kept
}

// needs is the feature without which a part cannot be expressed, if there is one.
func (p *Part) needs() (f Feature, needs bool) {
	switch p.Kind {
	case Image, Document, Audio, Video:
		if p.Media.File != nil {
			return FileID, true
		}
	}
	switch p.Kind {
	case Image:
		if p.Media.URL != nil {
			return ImageURL, true
		}
		return ImageData, true
	case Document:
		if p.Media.URL != nil {
			return DocumentURL, true
		}
		return DocumentData, true
	case Audio:
		return AudioInput, true
	case Video:
		return VideoInput, true
	case ToolCall, ToolResult:
		return Tools, true
	}
	return 0, false
}

package probe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"sallyport/internal/llm"
	"sallyport/internal/reference"
)

// A tool question gives a task and several tools that do the same, under names that say
// the same, and forces a call. A cell is one task.

// toolTask is one task.
type toolTask struct {
	name  string
	text  string
	about string // what each of the tools does
	param string // the one argument that each takes
	tools []string
}

// toolTasks are the tasks. Changing one makes recorded references useless, so it needs
// a new version in QuestionsVersion.
var toolTasks = []toolTask{
	{"weather", "What is the weather like in Oslo today?", "Returns the current weather of a place.", "place", []string{"get_weather", "weather_lookup", "current_weather", "fetch_conditions"}},
	{"currency", "How many euros are 250 Swiss francs?", "Converts an amount of money between currencies.", "request", []string{"convert_currency", "exchange_amount", "currency_converter"}},
	{"search", "Find out when the Eiffel Tower was opened.", "Searches the web and returns the best results.", "query", []string{"web_search", "search_web", "find_online", "lookup"}},
	{"calendar", "Put lunch with Maria on Friday at noon into my calendar.", "Adds an appointment to the calendar.", "appointment", []string{"create_event", "add_appointment", "schedule_entry", "new_calendar_item"}},
	{"mail", "Tell Jonas by mail that the delivery is late.", "Sends an electronic mail.", "message", []string{"send_email", "mail_message", "compose_and_send"}},
	{"translate", "What does 'Guten Abend' mean in Portuguese?", "Translates a text.", "text", []string{"translate_text", "translator", "text_translation", "to_language"}},
	{"route", "How do I get from Lyon to Geneva by car?", "Plans a route between two places.", "trip", []string{"plan_route", "get_directions", "route_finder", "navigate", "find_way"}},
	{"stock", "What does a share of Siemens cost?", "Returns the price of a share.", "name", []string{"stock_price", "get_quote", "share_value"}},
	{"file", "Show me what is in notes.txt.", "Returns the content of a file.", "file", []string{"read_file", "open_file", "file_content", "view_file"}},
	{"reminder", "Remind me tomorrow to water the plants.", "Sets a reminder.", "reminder", []string{"set_reminder", "add_reminder", "remind_me", "create_reminder"}},
	{"sum", "What is 4817 times 263?", "Evaluates an arithmetic expression.", "expression", []string{"calculator", "compute", "evaluate_expression", "do_math", "arithmetic"}},
	{"music", "Play something calm by Satie.", "Plays music.", "wish", []string{"play_music", "start_playback", "music_player"}},
	{"light", "Turn off the lamp in the hall.", "Switches lamps on and off.", "command", []string{"set_light", "light_switch", "control_lamp", "toggle_light"}},
	{"recipe", "How do I bake rye bread?", "Finds a recipe.", "dish", []string{"find_recipe", "recipe_search", "get_recipe", "cookbook"}},
	{"table", "How many orders came in last week?", "Runs a query on the database of orders.", "query", []string{"run_query", "query_database", "execute_sql", "db_lookup"}},
	{"contact", "What is the telephone number of Dr. Weber?", "Looks up a person in the address book.", "person", []string{"find_contact", "contact_lookup", "search_contacts", "address_book"}},
	{"flight", "Is there a flight from Madrid to Athens on Sunday?", "Searches for flights.", "journey", []string{"search_flights", "flight_finder", "find_flights", "flights"}},
	{"news", "What happened in Wellington this week?", "Returns news on a subject.", "subject", []string{"get_news", "news_search", "headlines", "latest_news", "news_feed"}},
	{"ticket", "The printer on the second floor does not work; have it repaired.", "Opens a ticket with the support.", "problem", []string{"create_ticket", "open_ticket", "report_issue", "submit_request"}},
	{"timer", "Wake me in twenty minutes.", "Starts a timer.", "duration", []string{"set_timer", "start_timer", "timer", "countdown"}},
}

// toolTokens is how long an answer to a tool question may be.
const toolTokens = 160

// toolCells are the ids of all tasks.
func toolCells() []string {
	var ids []string
	for _, t := range toolTasks {
		ids = append(ids, t.name)
	}
	return ids
}

// toolTaskOf is the task of a cell; those of references are checked before.
func toolTaskOf(cell string) toolTask {
	i := slices.IndexFunc(toolTasks, func(t toolTask) bool { return t.name == cell })
	if i < 0 {
		panic("probe: no tool question is called " + cell)
	}
	return toolTasks[i]
}

// toolSpecials are answers that are letters however rare: no call, one of a tool that
// was not offered, a refusal, and an answer that was cut off.
var toolSpecials = []string{"NONE", "UNKNOWN", "REFUSED", "LENGTH"}

// toolQuestions are how tool cells are asked and read.
var toolQuestions = questions{ask: toolAsk, read: toolRead, always: toolSpecials}

// toolAsk is one question of a cell; tools stand in one order, wherever it goes.
func toolAsk(cell string, r *rand.Rand) Ask {
	task := toolTaskOf(cell)
	a := Ask{
		Turns: User(task.text + " " + fmt.Sprintf(wordRef["en"], nonce(r))), Force: AnyTool, MaxTokens: toolTokens,
		Temperature: new(wordTemperature), TopP: new(wordTopP),
	}
	schema := jsonOf(map[string]any{
		"type": "object", "properties": map[string]any{task.param: map[string]any{"type": "string"}}, "required": []string{task.param},
	})
	for _, name := range task.tools {
		a.Tools = append(a.Tools, Tool{Name: name, Description: task.about, Parameters: []byte(schema)})
	}
	return a
}

// toolRead is the tool that an answer calls first, as a letter.
func toolRead(cell string, r *Reply) string {
	switch {
	case len(r.Calls) > 0 && slices.Contains(toolTaskOf(cell).tools, r.Calls[0].Name):
		return r.Calls[0].Name
	case len(r.Calls) > 0:
		return "UNKNOWN"
	case r.Refusal != "" || r.Finish == llm.FinishRefusal || r.Finish == llm.FinishFilter:
		return "REFUSED"
	case r.Finish == llm.FinishLength:
		return "LENGTH"
	}
	return "NONE"
}

// tools records which tools each source calls. Tasks at which some source mostly calls
// none are left out; a model that has no tools is an *unfitError. A choice of five
// needs fewer answers than a choice of words.
func (r *recorder) tools(ctx context.Context, ref *reference.Reference) error {
	p := newPool(r, toolCells(), toolQuestions)
	if err := p.train(ctx, max(r.Train/2, 1)); err != nil {
		return err
	}
	var useful []int
	for i, c := range p.cells() {
		calls := true
		for v := range r.Variants {
			counts, silent := c.Trains(v), 0
			for _, special := range toolSpecials {
				silent += counts[special]
			}
			calls = calls && float64(silent) <= maxFailures*float64(len(c.Train[v]))
		}
		if calls {
			useful = append(useful, i)
		}
	}
	if len(useful) < minCells {
		return &unfitError{fmt.Sprintf("the model calls a tool when it must in only %d of %d situations", len(useful), len(p.ids))}
	}
	if err := p.bank(ctx, useful, max(r.Bank/2, 1)); err != nil {
		return err
	}
	cells := p.cells()
	for _, i := range useful {
		ref.Tools = append(ref.Tools, cells[i])
	}
	return nil
}

package probe

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// A word question asks for one word whose choice the model is free in, so that the
// distribution of answers is its own (one-token fingerprints, arXiv 2607.10252). A
// cell is one task in one language.

// wordTask is one task in each language.
type wordTask struct {
	name  string
	texts map[string]string
}

// wordLanguages are the languages in the order of cells.
var wordLanguages = []string{"en", "ru", "zh", "ar"}

// wordTasks are the tasks. Changing a text makes recorded references useless, so it
// needs a new version in QuestionsVersion.
var wordTasks = []wordTask{
	{"number", map[string]string{
		"en": "Name a random whole number from 1 to 100.", "ru": "Назови случайное целое число от 1 до 100.",
		"zh": "说一个1到100之间的随机整数。", "ar": "اذكر عددا صحيحا عشوائيا من 1 إلى 100.",
	}},
	{"letter", map[string]string{
		"en": "Name a random letter of the Latin alphabet.", "ru": "Назови случайную букву русского алфавита.",
		"zh": "说一个随机的拉丁字母。", "ar": "اذكر حرفا عشوائيا من الأبجدية العربية.",
	}},
	{"colour", map[string]string{
		"en": "Name a random colour.", "ru": "Назови случайный цвет.", "zh": "说一种随机的颜色。", "ar": "اذكر لونا عشوائيا.",
	}},
	{"animal", map[string]string{
		"en": "Name a random animal.", "ru": "Назови случайное животное.", "zh": "说一种随机的动物。", "ar": "اذكر حيوانا عشوائيا.",
	}},
	{"city", map[string]string{
		"en": "Name a random city of the world.", "ru": "Назови случайный город мира.", "zh": "说一个随机的世界城市。", "ar": "اذكر مدينة عشوائية في العالم.",
	}},
	{"fruit", map[string]string{
		"en": "Name a random fruit.", "ru": "Назови случайный фрукт.", "zh": "说一种随机的水果。", "ar": "اذكر فاكهة عشوائية.",
	}},
	{"name", map[string]string{
		"en": "Name a random first name.", "ru": "Назови случайное имя человека.", "zh": "说一个随机的中文姓氏。", "ar": "اذكر اسما عشوائيا لشخص.",
	}},
	{"tool", map[string]string{
		"en": "Name a random object found in a kitchen.", "ru": "Назови случайный предмет на кухне.", "zh": "说一件随机的厨房用品。", "ar": "اذكر شيئا عشوائيا من أدوات المطبخ.",
	}},
	{"verb", map[string]string{
		"en": "Name a random verb.", "ru": "Назови случайный глагол.", "zh": "说一个随机的动词。", "ar": "اذكر فعلا عشوائيا.",
	}},
	{"weather", map[string]string{
		"en": "Describe tomorrow's weather in one random word.", "ru": "Опиши завтрашнюю погоду одним случайным словом.",
		"zh": "用一个随机的词描述明天的天气。", "ar": "صف طقس الغد بكلمة عشوائية واحدة.",
	}},
}

// wordOnly asks for nothing but the word, and wordRef shows a number that keeps
// caches from answering.
var (
	wordOnly = map[string]string{"en": "Answer with one word only.", "ru": "Ответь только одним словом.", "zh": "只回答一个词。", "ar": "أجب بكلمة واحدة فقط."}
	wordRef  = map[string]string{"en": "(request %s)", "ru": "(запрос %s)", "zh": "（请求%s）", "ar": "(الطلب %s)"}
)

// QuestionsVersion names the questions and the way they are put.
const QuestionsVersion = "words-1"

// Words is the protocol of word questions.
const (
	wordTemperature = 1.0
	wordTopP        = 1.0
	wordTokens      = 16
)

// WordCells are the ids of all cells.
func WordCells() []string {
	var ids []string
	for _, t := range wordTasks {
		for _, language := range wordLanguages {
			ids = append(ids, t.name+"."+language)
		}
	}
	return ids
}

// wordAsk is one question of a cell. The nonce is drawn from r, from one distribution
// wherever the question goes.
func wordAsk(cell string, r *rand.Rand) Ask {
	name, language, _ := strings.Cut(cell, ".")
	for _, t := range wordTasks {
		if t.name == name {
			text := t.texts[language] + " " + wordOnly[language] + " " + fmt.Sprintf(wordRef[language], nonce(r))
			return Ask{Turns: User(text), MaxTokens: wordTokens, Temperature: new(wordTemperature), TopP: new(wordTopP)}
		}
	}
	panic("probe: no word question is called " + cell) // cells of references are checked before
}

// nonce is a number that no other question has.
func nonce(r *rand.Rand) string { return fmt.Sprintf("%06x", r.Uint32()&0xffffff) }

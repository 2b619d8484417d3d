"""Signing in and out."""

from playwright.sync_api import expect


def test_sign_in_leads_to_where_one_wanted(open_page, key):
    page = open_page()
    page.goto("/?from=here")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url("/?from=here")


def test_the_provider_leads_back_to_where_one_wanted(chromium, url, client, openid_provider):
    """The provider is another site (`localhost`), so the way back must survive strict cookies."""
    openid_provider.know("anna", email="anna@example.com", email_verified=True)
    client.post("/v1/invitations", json={"email": "anna@example.com", "role": "labeller"})
    context = chromium.new_context(base_url=url)
    page = context.new_page()
    page.goto("/jobs?kind=training")
    page.get_by_role("link", name="Sign in with localhost").click()
    page.locator("input[name=sub]").fill("anna")
    page.get_by_role("button", name="Authorize").click()
    expect(page).to_have_url(f"{url}/jobs?kind=training")
    page.get_by_text("More", exact=True).click()
    expect(page.get_by_text("Signed in as anna@example.com")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in with localhost")).to_be_visible()
    context.close()


def test_sign_out(signed_in):
    page = signed_in("/")
    page.get_by_text("More", exact=True).click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()


def test_the_theme_is_kept(signed_in):
    page = signed_in("/")
    page.get_by_text("More", exact=True).click()
    page.get_by_role("button", name="Light or dark").click()
    page.reload()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_the_sheet_of_keys_lists_what_works_here_and_switches_letters_off(signed_in):
    page = signed_in("/")
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard")
    expect(sheet).to_contain_text("Search")
    sheet.get_by_label("Single-letter shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(sheet).to_be_hidden()
